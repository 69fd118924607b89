// Read a Segmentation or a report with dcmjs, and print what is in it as JSON.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const dcmjs = createRequire(process.argv[2] + "/")("dcmjs");
const file = readFileSync(process.argv[3]);
const buffer = file.buffer.slice(file.byteOffset, file.byteOffset + file.length);
const { DicomMessage, DicomMetaDictionary, BitArray } = dcmjs.data;
const ds = DicomMetaDictionary.naturalizeDataset(DicomMessage.readFile(buffer).dict);
const list = (value) => (value === undefined ? [] : Array.isArray(value) ? value : [value]);

function masks() {
    const bits = BitArray.unpack(list(ds.PixelData)[0]);
    const size = ds.Rows * ds.Columns;
    return list(ds.PerFrameFunctionalGroupsSequence).map((item, index) => {
        const frame = bits.slice(index * size, (index + 1) * size).map((value) => (value ? 1 : 0));
        const source = list(list(item.DerivationImageSequence)[0].SourceImageSequence)[0];
        return {
            segment: list(item.SegmentIdentificationSequence)[0].ReferencedSegmentNumber,
            frame: source.ReferencedFrameNumber,
            sha1: createHash("sha1").update(Buffer.from(frame)).digest("hex"),
        };
    });
}

function content(item) {
    const name = list(item.ConceptNameCodeSequence)[0];
    const measured = list(item.MeasuredValueSequence)[0];
    const children = list(item.ContentSequence).map(content);
    const reference = list(item.ReferencedSOPSequence)[0];
    return {
        type: item.ValueType,
        name: name && name.CodeValue,
        value: measured && Number(measured.NumericValue),
        points: item.GraphicData && Array.from(item.GraphicData),
        frame: reference && reference.ReferencedFrameNumber,
        children,
    };
}

console.log(JSON.stringify(ds.Modality === "SEG" ? masks() : content(ds)));

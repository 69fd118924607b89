// Read a Segmentation or a report as a viewer built on Cornerstone3D does, and print what is in it as JSON.
// Arguments: the folder of the modules, the file, and the clip it is of as JSON.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [modules, path, clipText] = process.argv.slice(2);
const load = (name) => import(pathToFileURL(`${modules}/@cornerstonejs/${name}/dist/esm/index.js`));
const { adaptersSEG, adaptersSR } = await load("adapters");
const { metaData } = await load("core");
const { DicomMessage, DicomMetaDictionary } = createRequire(`${modules}/`)("dcmjs").data;

const clip = JSON.parse(clipText); // uid, series, rows, columns, frames, spacing
const imageIds = Array.from({ length: clip.frames }, (_, index) => `wadors:clip/frames/${index + 1}`);
const plane = {
    rows: clip.rows,
    columns: clip.columns,
    rowPixelSpacing: clip.spacing[0],
    columnPixelSpacing: clip.spacing[1],
    // Ultrasound has no planes: these are what viewers take instead.
    imagePositionPatient: [0, 0, 0],
    imageOrientationPatient: [1, 0, 0, 0, 1, 0],
    rowCosines: [1, 0, 0],
    columnCosines: [0, 1, 0],
    frameOfReferenceUID: clip.uid,
};
const known = {
    imagePlaneModule: plane,
    generalSeriesModule: { seriesInstanceUID: clip.series },
    generalImageModule: { sopInstanceUID: clip.uid },
    imagePixelModule: {},
    instance: {
        SOPInstanceUID: clip.uid,
        SeriesInstanceUID: clip.series,
        Rows: clip.rows,
        Columns: clip.columns,
        NumberOfFrames: clip.frames,
    },
};
metaData.addProvider((type, imageId) => (imageIds.includes(imageId) ? known[type] : undefined), 1);
const provider = { get: (type, imageId) => metaData.get(type, imageId) };

const file = readFileSync(path);
const buffer = file.buffer.slice(file.byteOffset, file.byteOffset + file.length);
const ds = DicomMetaDictionary.naturalizeDataset(DicomMessage.readFile(buffer).dict);

async function masks() {
    const read = await adaptersSEG.Cornerstone3D.Segmentation.createFromDICOMSegBuffer(imageIds, buffer, {
        metadataProvider: provider,
    });
    const found = [];
    for (const images of read.labelMapImages)
        images.forEach((image, index) => {
            const labels = image.voxelManager.getScalarData();
            for (const segment of new Set(labels.filter(Boolean))) {
                const mask = Buffer.from(labels.map((label) => Number(label === segment)));
                found.push({ segment, frame: index + 1, sha1: createHash("sha1").update(mask).digest("hex") });
            }
        });
    return { masks: found, labels: read.segMetadata.data.filter(Boolean).map((segment) => segment.SegmentLabel) };
}

// These adapters look for a contour below the first number (TID 1501), not beside the numbers (TID 1410), and refuse ours:
// "No spatial coordinates group found". So it is hung there for them.
function hangContours(item) {
    const children = item.ContentSequence ?? [];
    const drawn = children.find((child) => child.ValueType === "SCOORD");
    const number = children.find((child) => child.ValueType === "NUM");
    if (drawn && number) number.ContentSequence = [drawn];
    else children.forEach(hangContours);
}

// Without help they take a contour only from a tracking identifier of their own.
function getToolClass(group, _dataset, adapters) {
    const drawn = group.ContentSequence.find((item) => item.ValueType === "SCOORD");
    return adapters.get(drawn.GraphicType === "POLYLINE" ? "PlanarFreehandROI" : "Probe");
}

function contours() {
    const byFrame = Object.fromEntries(imageIds.map((imageId, index) => [`${clip.uid}:${index + 1}`, imageId]));
    hangContours(ds);
    const state = adaptersSR.Cornerstone3D.MeasurementReport.generateToolState(ds, byFrame, provider, { getToolClass });
    return Object.entries(state).flatMap(([tool, found]) =>
        found.map((each) => ({
            tool,
            frame: each.annotation.data.frameNumber,
            site: each.findingSites[0].CodeValue,
            closed: each.annotation.data.contour?.closed,
            firstNumber: Number(Object.values(each.annotation.data.cachedStats)[0]?.area),
            points: each.annotation.data.contour?.polyline ?? each.annotation.data.handles.points,
        })),
    );
}

console.log(JSON.stringify(ds.Modality === "SEG" ? await masks() : contours()));

// dcmjs-dimse as the other side of the node: node dimse.mjs NODE_MODULES '{"do": "store", ...}'
// Prints one line of JSON: {"status": ...} or {"complaint": "..."}; "serve" prints {"listening": port} and goes on.
import { createRequire } from 'node:module';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [, , modules, text] = process.argv;
const order = JSON.parse(text);
const require = createRequire(join(modules, 'dcmjs-dimse', 'package.json'));
const { Client, Dataset, PresentationContext, Scp, Server, Transcoding, constants, log, requests, responses } =
  require('dcmjs-dimse');
const { PresentationContextResult, SopClass, Status, TransferSyntax } = constants;
log.setLevel('silent');

const COMMITMENT_INSTANCE = '1.2.840.10008.1.20.1.1';
const KNOWN_SYNTAXES = Object.values(TransferSyntax).filter((uid) => uid !== TransferSyntax.DeflatedExplicitVRLittleEndian);

function security() {
  if (!order.tls) return undefined;
  const { authority, certificate, key } = order.tls;
  const shown = certificate ? { cert: readFileSync(certificate), key: readFileSync(key) } : {};
  return { ca: readFileSync(authority), ...shown, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.2' };
}

function answer(result) {
  console.log(JSON.stringify(result));
  process.exit(0);
}

// Send requests in turn over one association; the answer is the last status, or what went wrong first.
function perform(wanted, { lingerMs = 0, onReport } = {}) {
  const client = new Client();
  let status;
  for (const request of wanted) {
    request.on('response', (response) => (status = response.getStatus()));
    client.addRequest(request);
  }
  client.on('networkError', (error) => answer({ complaint: String(error.message ?? error) }));
  client.on('associationRejected', (result) => answer({ complaint: `association rejected: ${JSON.stringify(result)}` }));
  client.on('closed', () => answer(status === undefined ? { complaint: 'no response' } : { status }));
  client.on('nEventReportRequest', (request, respond) => {
    const response = responses.NEventReportResponse.fromRequest(request);
    response.setStatus(Status.Success);
    respond(response);
    onReport?.(request);
  });
  client.send('127.0.0.1', order.port, order.calling, order.called, {
    securityOptions: security(),
    associationLingerTimeout: lingerMs,
  });
}

async function store() {
  await Transcoding.initializeAsync();
  perform([new requests.CStoreRequest(order.file)]);
}

function commit() {
  const request = new requests.NActionRequest(SopClass.StorageCommitmentPushModel, COMMITMENT_INSTANCE, 1);
  const references = order.references.map(([sopClass, uid]) => ({
    ReferencedSOPClassUID: sopClass,
    ReferencedSOPInstanceUID: uid,
  }));
  request.setDataset(new Dataset({ TransactionUID: order.transaction, ReferencedSOPSequence: references }));
  const onReport = (report) => {
    const committed = report.getDataset()?.getElement('ReferencedSOPSequence') ?? [];
    const items = Array.isArray(committed) ? committed : [committed];
    setTimeout(() => answer({ committed: items.map((item) => item.ReferencedSOPInstanceUID) }), 500);
  };
  perform([request], { lingerMs: 30000, onReport });
}

function step() {
  const begun = new requests.NCreateRequest(SopClass.ModalityPerformedProcedureStep, order.step);
  begun.setDataset(
    new Dataset({
      PerformedProcedureStepStatus: 'IN PROGRESS',
      ScheduledStepAttributesSequence: [{ StudyInstanceUID: order.study }],
      PerformedSeriesSequence: [],
    })
  );
  const ended = new requests.NSetRequest(SopClass.ModalityPerformedProcedureStep, order.step);
  ended.setDataset(
    new Dataset({
      PerformedProcedureStepStatus: 'COMPLETED',
      PerformedSeriesSequence: [
        {
          SeriesInstanceUID: order.series,
          ReferencedImageSequence: order.references.map(([sopClass, uid]) => ({
            ReferencedSOPClassUID: sopClass,
            ReferencedSOPInstanceUID: uid,
          })),
        },
      ],
    })
  );
  perform([begun, ended]);
}

// Keep each data set exactly as it came, and read it with dcmjs too: what it cannot read is not answered with Success.
class Archive extends Scp {
  associationRequested(association) {
    for (const { id } of association.getPresentationContexts()) {
      const context = association.getPresentationContext(id);
      const syntax = context.getTransferSyntaxUids().find((uid) => KNOWN_SYNTAXES.includes(uid));
      if (syntax) context.setResult(PresentationContextResult.Accept, syntax);
      else context.setResult(PresentationContextResult.RejectTransferSyntaxesNotSupported);
    }
    this.sendAssociationAccept();
  }

  createDatasetFromStoreWritableStream(writable, context, callback) {
    this.content = writable.toBuffer();
    this.syntax = context.getAcceptedTransferSyntaxUid();
    super.createDatasetFromStoreWritableStream(writable, context, callback);
  }

  cEchoRequest(request, callback) {
    const response = responses.CEchoResponse.fromRequest(request);
    response.setStatus(Status.Success);
    callback(response);
  }

  cStoreRequest(request, callback) {
    const uid = request.getAffectedSopInstanceUid();
    const understood = request.getDataset().getElement('SOPInstanceUID') === uid;
    if (understood) writeFileSync(join(order.folder, `${uid}_${this.syntax}`), this.content);
    const response = responses.CStoreResponse.fromRequest(request);
    response.setStatus(understood ? Status.Success : Status.ProcessingFailure);
    callback(response);
  }

  associationReleaseRequested() {
    this.sendAssociationReleaseResponse();
  }
}

function serve() {
  const server = new Server(Archive);
  server.on('networkError', (error) => console.error(String(error.message ?? error)));
  server.listen(order.port, { securityOptions: security() });
  console.log(JSON.stringify({ listening: order.port }));
}

process.on('uncaughtException', (error) => answer({ complaint: String(error.message ?? error) }));
await { store, echo: () => perform([new requests.CEchoRequest()]), commit, step, serve }[order.do]();

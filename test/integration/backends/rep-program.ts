// A serial REP server as the legacy services are: one request at a time, in a process of its own.
// A request is JSON: {"do": "echo" | "sleep" | "hang" | "executed", "ms"?, "tag"?}. Everything else is echoed byte for byte.
import { setTimeout as sleep } from 'node:timers/promises';
import { Reply } from 'zeromq';

const socket = new Reply({ linger: 0 });
await socket.bind(`tcp://127.0.0.1:${process.argv[2]}`);
process.send?.('ready');
const executed: string[] = [];

async function perform(body: Buffer): Promise<Buffer> {
  const request = read(body);
  if (request.tag !== undefined) executed.push(request.tag);
  if (request.do === 'executed') return Buffer.from(JSON.stringify(executed));
  if (request.do === 'sleep') await sleep(request.ms ?? 0);
  if (request.do === 'hang') await new Promise(() => setInterval(() => undefined, 1_000));
  return body;
}

function read(body: Buffer): { do?: string; ms?: number; tag?: string } {
  try {
    return JSON.parse(body.toString()) as { do?: string; ms?: number; tag?: string };
  } catch {
    return {};
  }
}

for (;;) {
  const [body = Buffer.alloc(0)] = await socket.receive();
  await socket.send(await perform(body));
}

import { createServer } from 'node:net';

const FIRST = 20_000;
const SPAN = 12_000;
const SLICES = 24;

// One slice of the range per process, claimed by listening on a guard port: neither parallel files nor another run on the same machine ask
// for the same port. The system's own ephemeral ports collide with TIME_WAIT.
const GUARDS = FIRST + SPAN + 100;
let claimed: Promise<number> | undefined;
let next = 0;

async function claimSlice(): Promise<number> {
  for (let tries = 0; tries < SLICES; tries += 1) {
    const slice = (process.pid + tries) % SLICES;
    if (await isHeld(GUARDS + slice)) return slice;
  }
  throw new Error(`All ${SLICES} slices of test ports are in use`);
}

/** Listens until the process ends, without keeping it alive. */
function isHeld(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => resolve(true));
    server.unref();
  });
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** A port nobody listens on, from this process's slice of 20000–32000. */
export async function freePort(): Promise<number> {
  const slice = await (claimed ??= claimSlice());
  const size = SPAN / SLICES;
  for (let tries = 0; tries < size; tries += 1) {
    const port = FIRST + slice * size + (next++ % size);
    if (await isFree(port)) return port;
  }
  throw new Error(`No free port between ${FIRST + slice * size} and ${FIRST + (slice + 1) * size}`);
}

/** Several free ports at once. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  for (let index = 0; index < count; index += 1) ports.push(await freePort());
  return ports;
}

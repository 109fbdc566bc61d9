import { createServer } from 'node:net';

const FIRST = 20_000;
const SPAN = 12_000;
const SLICES = 24;

// One slice of the range per test worker, so that parallel files never ask for the same port; the system's own ephemeral ports collide with TIME_WAIT.
const slice = (Number(process.env['VITEST_POOL_ID'] ?? process.pid) + process.ppid) % SLICES;
let next = 0;

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** A port nobody listens on, from this worker's slice of 20000–32000. */
export async function freePort(): Promise<number> {
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

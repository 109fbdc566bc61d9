import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SHARED_POSTGRES, startOwnPostgres, type OwnPostgres } from './postgres.ts';

// Several files at once hold a few pools each. Nothing that is stored here has to survive a crash of the machine.
const FLAGS = ['max_connections=400', 'fsync=off'];

/** Vitest's global setup: one PostgreSQL for the whole run, started by the first file that asks for it. */
export default async function setup(): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'crossfade-tests-'));
  let server: Promise<OwnPostgres> | undefined;
  const listener = createServer((socket) => {
    socket.on('error', () => {});
    server ??= startOwnPostgres(FLAGS);
    server.then(
      ({ port }) => socket.end(String(port)),
      (error: unknown) => socket.end(String(error)),
    );
  });
  const path = join(folder, 'postgres');
  listener.listen(path);
  await once(listener, 'listening');
  process.env[SHARED_POSTGRES] = path;
  return async () => {
    delete process.env[SHARED_POSTGRES];
    listener.close();
    await (await server?.catch(() => undefined))?.stop();
    await rm(folder, { recursive: true, force: true });
  };
}

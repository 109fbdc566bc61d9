import { Session, type Profiler } from 'node:inspector';
import { createServer, Socket } from 'node:net';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT } from '../tiers.ts';

/**
 * Imported before a program of ours. Tells over a socket which source files ran: those until the program first wrote to a client of
 * one port, and all. The folder of the sockets and the port come from the environment, because the program's arguments are its own.
 */
const [part] = process.argv.slice(2);
const folder = process.env['CROSSFADE_SHAPE'];

if (folder !== undefined && (part === 'start' || part === 'orchestrator')) record(`${folder}/${part}`);

function record(path: string): void {
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
  const all = new Set<string>();
  let untilReply: readonly string[] | undefined;
  let clientPort: number | undefined;
  /** Counts are reset with every look. */
  const look = (): void => {
    session.post('Profiler.takePreciseCoverage', (_, answer) => {
      for (const script of answer?.result ?? []) if (hasRun(script)) addTo(all, script.url);
    });
  };
  const write = Reflect.get(Socket.prototype, 'write') as (this: Socket, ...args: unknown[]) => boolean;
  Socket.prototype.write = function (this: Socket, ...args: unknown[]) {
    if (untilReply === undefined && this.localPort === clientPort) {
      look();
      untilReply = [...all];
    }
    return Reflect.apply(write, this, args);
  };
  createServer((socket) => {
    socket.on('data', (line) => {
      const [word, port] = line.toString().trim().split(' ');
      look();
      if (word === 'files') return socket.write(`${JSON.stringify({ all: [...all], untilReply })}\n`);
      all.clear();
      untilReply = undefined;
      clientPort = Number(port);
      return socket.write('{}\n');
    });
  })
    .listen(path)
    .unref();
}

/** Of a file that is only loaded, one function runs: the file as a whole, which begins at offset 0. */
function hasRun({ functions }: Profiler.ScriptCoverage): boolean {
  return functions.some(
    ({ ranges: [whole] }) => whole !== undefined && whole.startOffset > 0 && whole.count > 0,
  );
}

function addTo(files: Set<string>, url: string): void {
  if (!url.startsWith('file:')) return;
  const path = relative(ROOT, fileURLToPath(url));
  if (path.startsWith('src/')) files.add(path);
}

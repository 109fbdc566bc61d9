import { Agent, createServer, request, type Server } from 'node:http';
import { freePort } from '../support/ports.ts';

/** What a gate answers instead of the server behind it. */
export interface Refusal {
  readonly status: number;
  readonly body: string;
}

/** An HTTP gate in front of a server: it passes requests, answers in its place, or says nothing at all. */
export interface Gate {
  readonly url: string;
  /** What came, as `POST /path`, since the last {@link Gate.forget}. */
  readonly seen: readonly string[];
  pass(): void;
  refuse(refusal: Refusal): void;
  hang(): void;
  /** Answers 200, and stops in the middle of the body. */
  stall(): void;
  forget(): void;
  stop(): Promise<void>;
}

export async function startGate(targetPort: number): Promise<Gate> {
  let mode: Refusal | 'pass' | 'hang' | 'stall' = 'pass';
  const seen: string[] = [];
  // A connection that is used again may be one that the server is closing just then.
  const agent = new Agent({ keepAlive: false });
  const server: Server = createServer((incoming, outgoing) => {
    seen.push(`${incoming.method ?? ''} ${incoming.url ?? ''}`);
    if (mode === 'hang') return;
    if (mode === 'stall') {
      outgoing.writeHead(200, { 'content-length': '1000' }).write('{"version": 2');
      return;
    }
    if (mode !== 'pass') {
      outgoing.writeHead(mode.status).end(mode.body);
      return;
    }
    const { method, url: path, headers } = incoming;
    const onward = request(
      { host: '127.0.0.1', port: targetPort, agent, method, path, headers },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      },
    );
    onward.on('error', () => outgoing.destroy());
    incoming.pipe(onward);
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${port}/api`,
    seen,
    pass: () => void (mode = 'pass'),
    refuse: (refusal) => void (mode = refusal),
    hang: () => void (mode = 'hang'),
    stall: () => void (mode = 'stall'),
    forget: () => void seen.splice(0),
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

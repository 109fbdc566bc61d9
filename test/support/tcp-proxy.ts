import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './ports.ts';

/** A TCP proxy in front of one server, for the faults that a network has. It passes everything until it is told otherwise. */
export interface TcpProxy {
  readonly port: number;
  /** Bytes flow again; connections that were silent go on where they stopped. */
  pass(): Promise<void>;
  /** Connections stay open and new ones are accepted, but no byte arrives at either end: a host that hangs. */
  silence(): void;
  /** Every connection is reset and new ones are refused: a server that has ended. */
  refuse(): Promise<void>;
  /** Every connection is reset; new ones behave as before. */
  reset(): void;
  /** Of what arrives next on a connection only the first half is passed on; then the connection is reset. New ones behave as before. */
  truncate(): void;
  /** What arrives from now on is passed on so much later. */
  delay(delayMs: number): void;
  stop(): Promise<void>;
}

/** Starts a proxy on a free port in front of `127.0.0.1:port`. */
export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  const proxy = new Forwarder(await freePort(), targetPort);
  await proxy.pass();
  return proxy;
}

interface Pair {
  readonly agent: Socket;
  readonly server: Socket;
  isToBeCut: boolean;
}

class Forwarder implements TcpProxy {
  readonly port: number;
  readonly #targetPort: number;
  readonly #pairs = new Set<Pair>();
  #listener: Server | undefined;
  #isSilent = false;
  #delayMs = 0;

  constructor(port: number, targetPort: number) {
    this.port = port;
    this.#targetPort = targetPort;
  }

  async pass(): Promise<void> {
    this.#delayMs = 0;
    this.#isSilent = false;
    for (const { agent, server } of this.#pairs) {
      agent.resume();
      server.resume();
    }
    if (this.#listener !== undefined) return;
    const listener = createServer({ noDelay: true }, (agent) => this.#join(agent));
    this.#listener = listener;
    listener.listen(this.port, '127.0.0.1');
    await once(listener, 'listening');
  }

  silence(): void {
    this.#isSilent = true;
    for (const { agent, server } of this.#pairs) {
      agent.pause();
      server.pause();
    }
  }

  async refuse(): Promise<void> {
    const listener = this.#listener;
    this.#listener = undefined;
    const closed = listener === undefined ? undefined : once(listener, 'close');
    listener?.close();
    this.reset();
    await closed;
  }

  reset(): void {
    for (const { agent, server } of this.#pairs) {
      agent.resetAndDestroy();
      server.resetAndDestroy();
    }
    this.#pairs.clear();
  }

  truncate(): void {
    for (const pair of this.#pairs) pair.isToBeCut = true;
  }

  delay(delayMs: number): void {
    this.#delayMs = delayMs;
  }

  async stop(): Promise<void> {
    await this.refuse();
  }

  #join(agent: Socket): void {
    const server = connect({ port: this.#targetPort, host: '127.0.0.1', noDelay: true });
    const pair: Pair = { agent, server, isToBeCut: false };
    this.#pairs.add(pair);
    const end = (): void => {
      pair.agent.destroy();
      pair.server.destroy();
      this.#pairs.delete(pair);
    };
    for (const socket of [pair.agent, pair.server]) socket.on('error', end).on('close', end);
    this.#forward(pair, pair.agent, pair.server);
    this.#forward(pair, pair.server, pair.agent);
    if (!this.#isSilent) return;
    pair.agent.pause();
    pair.server.pause();
  }

  #cut({ agent, server }: Pair, to: Socket, chunk: Buffer): void {
    to.write(chunk.subarray(0, Math.floor(chunk.length / 2)), () => {
      agent.resetAndDestroy();
      server.resetAndDestroy();
    });
  }

  #forward(pair: Pair, from: Socket, to: Socket): void {
    let waiting = 0;
    let line: Promise<void> = Promise.resolve();
    from.on('data', (chunk: Buffer) => {
      if (pair.isToBeCut) return this.#cut(pair, to, chunk);
      if (this.#delayMs === 0 && waiting === 0) {
        to.write(chunk);
        return;
      }
      waiting += 1;
      const dueMs = performance.now() + this.#delayMs;
      line = line.then(async () => {
        await sleep(Math.max(0, dueMs - performance.now()));
        waiting -= 1;
        if (!to.destroyed) to.write(chunk);
      });
    });
  }
}

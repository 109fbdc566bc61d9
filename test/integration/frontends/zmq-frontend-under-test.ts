import { setImmediate as nextTurn } from 'node:timers/promises';
import { Context, Dealer, Request } from 'zeromq';
import { systemClock as clock } from '../../../src/shared/clock.ts';
import { serviceName } from '../../../src/domain/ids.ts';
import { createZmqFrontend, type ZmqFrontendSettings } from '../../../src/frontends/zmq/router.ts';
import type { AgentReply, AgentRequest } from '../../../src/engine/ports/operation.ts';
import { eventually } from '../../support/eventually.ts';
import { freePort } from '../../support/ports.ts';
import { startTcpProxy } from '../../support/tcp-proxy.ts';

/** What the test must close, the last first. */
export const closing: (() => unknown)[] = [];
export const context = new Context({ maxSockets: 2_000 });
export const host = '127.0.0.1';

export async function closeAll(): Promise<void> {
  for (const close of closing.splice(0).reverse()) await close();
}

export type Handle = (request: AgentRequest) => Promise<AgentReply>;

/** The port of a frontend with this handler. */
export async function serve(handle: Handle, more: Partial<ZmqFrontendSettings> = {}): Promise<number> {
  const port = await freePort();
  const service = serviceName('session-memory');
  const frontend = createZmqFrontend({ service, host, port, clock, handler: { handle }, ...more });
  await frontend.start();
  closing.push(() => frontend.stop());
  return port;
}

export function requester(port: number): Request {
  const socket = new Request({ context, linger: 0, receiveTimeout: 25_000 });
  socket.connect(`tcp://${host}:${port}`);
  closing.push(() => socket.close());
  return socket;
}

export function dealer(port: number): Dealer {
  const socket = new Dealer({ context, linger: 0, receiveTimeout: 25_000 });
  socket.connect(`tcp://${host}:${port}`);
  closing.push(() => socket.close());
  return socket;
}

export async function exchange(socket: Request | Dealer, frames: (string | Buffer)[]): Promise<string[]> {
  await socket.send(frames);
  return (await socket.receive()).map((frame) => frame.toString());
}

/** An agent whose connection ends while its request is being worked on: the answer is given only when that is known here. */
export class Leaving {
  #isAsked = false;
  #leave: () => void = () => undefined;
  readonly #left = new Promise<void>((resolve) => (this.#leave = resolve));

  /** What the handler waits for. */
  asked(): Promise<void> {
    this.#isAsked = true;
    return this.#left;
  }

  async askAndLeave(port: number, body: string): Promise<void> {
    const line = await startTcpProxy(port);
    closing.push(() => line.stop());
    await requester(line.port).send(body);
    await eventually('the request is with the handler', () => this.#isAsked);
    await line.refuse();
    for (let turn = 0; turn < 10; turn += 1) await nextTurn();
    this.#leave();
  }
}

export const echo: Handle = async ({ body, problem }) => ({
  body: problem === undefined ? body : Buffer.from(`refused: ${problem.kind}`),
});

import { once } from 'node:events';
import { createServer, request as httpRequest, Agent } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { systemClock as clock } from '../../../src/shared/clock.ts';
import {
  ConnectionLimit,
  connectionsWithin,
  limitConnections,
} from '../../../src/frontends/connection-limit.ts';
import { eventually } from '../../support/eventually.ts';
import { closeAll, closing, echo, exchange, host, requester, serve } from './zmq-frontend-under-test.ts';

afterEach(closeAll);

const LIMIT = 20;
/** Of one address. */
const OWN = 15;

function createLimit() {
  const events: string[] = [];
  const limit = new ConnectionLimit({
    limit: LIMIT,
    nowMs: () => clock.now(),
    onFull: (what) => void events.push(what),
  });
  return { limit, events };
}

/** A connection that may send nothing. */
class Idle {
  isClosed = false;
  readonly socket: Socket;

  constructor(port: number, localAddress = host) {
    this.socket = connect({ port, host, localAddress });
    this.socket
      .on('error', () => undefined)
      .on('close', () => (this.isClosed = true))
      .resume();
    closing.push(() => this.socket.destroy());
  }

  /** Resolves with the reply. */
  async ask(path = '/'): Promise<string> {
    this.socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`);
    const [reply] = (await once(this.socket, 'data')) as [Buffer];
    return reply.toString();
  }
}

async function idleConnections(count: number, port: number, localAddress?: string): Promise<Idle[]> {
  const idle: Idle[] = [];
  for (let index = 0; index < count; index += 1) {
    const one = new Idle(port, localAddress);
    idle.push(one);
    await once(one.socket, 'connect');
  }
  return idle;
}

const openOf = (connections: readonly Idle[]): number =>
  connections.filter(({ isClosed }) => !isClosed).length;

describe('an HTTP port', () => {
  const hanging: (() => void)[] = [];

  async function listen(limit: ConnectionLimit): Promise<number> {
    const server = createServer(({ url }, response) => {
      if (url === '/hang') hanging.push(() => void response.end('late'));
      else response.end('ok');
    });
    limitConnections(server, limit);
    server.listen(0, host);
    await once(server, 'listening');
    closing.push(() => {
      hanging.length = 0;
      server.closeAllConnections();
      server.close();
    });
    return (server.address() as AddressInfo).port;
  }

  async function get(port: number): Promise<string> {
    const request = httpRequest({ host, port, agent: new Agent() }).end();
    const [response] = (await once(request, 'response')) as [AsyncIterable<Buffer>];
    let body = '';
    for await (const chunk of response) body += chunk.toString();
    return body;
  }

  test('serves new agents while one client holds idle connections', async () => {
    const { limit, events } = createLimit();
    const port = await listen(limit);
    const idle = await idleConnections(10 * LIMIT, port);
    await eventually('only its share is open', () => openOf(idle) === OWN);
    for (let turn = 0; turn < 5; turn += 1) expect(await get(port)).toBe('ok');
    expect(limit.size).toBeLessThanOrEqual(OWN);
    expect(new Set(events)).toEqual(new Set(['closed']));
  });

  test('closes connections without a request first, then the longest idle', async () => {
    const port = await listen(createLimit().limit);
    const [first, second] = await idleConnections(2, port);
    for (const one of [second, first]) expect(await one?.ask()).toContain('ok');
    const silent = await idleConnections(OWN - 2, port);
    const later = await idleConnections(OWN - 2, port);
    await eventually('the silent ones are closed', () => openOf(silent) === 0);
    expect([first?.isClosed, second?.isClosed]).toEqual([false, false]);
    for (const one of later) await one.ask();
    await idleConnections(1, port);
    await eventually('the longest idle is closed', () => second?.isClosed === true);
    expect(first?.isClosed).toBe(false);
  });

  test('closes the connections of the address with the most', async () => {
    const port = await listen(createLimit().limit);
    const few = await idleConnections(4, port, '127.0.0.2');
    const many = await idleConnections(2 * LIMIT, port);
    const further = await idleConnections(3, port, '127.0.0.3');
    await eventually('its connections are closed', () => openOf(many) === LIMIT - 4 - 3);
    expect([openOf(few), openOf(further)]).toEqual([4, 3]);
  });

  test('closes no connection with a request in progress, and leaves others room', async () => {
    const { limit, events } = createLimit();
    const port = await listen(limit);
    const busy = await idleConnections(OWN, port);
    const replies = busy.map((one) => one.ask('/hang'));
    await eventually('the requests', () => hanging.length === OWN);
    const refused = await idleConnections(3, port);
    await eventually('further connections are refused', () => openOf(refused) === 0);
    expect(events).toEqual(['refused', 'refused', 'refused']);
    const [other] = await idleConnections(1, port, '127.0.0.2');
    expect((await other?.ask())?.toLowerCase()).not.toContain('connection: close');
    expect(openOf(busy)).toBe(OWN);
    for (const finish of hanging.splice(0)) finish();
    for (const reply of await Promise.all(replies)) expect(reply).toContain('late');
    // A connection of their address was refused, so the next reply makes room.
    expect((await busy.at(-1)?.ask())?.toLowerCase()).toContain('connection: close');
    await sleep(1_000);
    const again = await Promise.all(busy.slice(0, 2).map((one) => one.ask()));
    for (const reply of again) expect(reply.toLowerCase()).not.toContain('connection: close');
  });
});

describe('a ZeroMQ port', () => {
  test('serves new agents while one client holds idle connections', async () => {
    const { limit } = createLimit();
    const port = await serve(echo, { connectionLimit: limit });
    const known = requester(port);
    expect(await exchange(known, ['first'])).toEqual(['first']);
    const idle = await idleConnections(10 * LIMIT, port);
    await eventually('only its share is open', () => openOf(idle) < OWN);
    expect(await exchange(requester(port), ['new'])).toEqual(['new']);
    expect(await exchange(known, ['second'])).toEqual(['second']);
    expect(limit.size).toBeLessThanOrEqual(OWN);
  });
});

test('the limit is at most a quarter of the files that the process may open', () => {
  expect(connectionsWithin(3)).toBe(3);
  expect(connectionsWithin(Infinity)).toBeGreaterThan(16);
});

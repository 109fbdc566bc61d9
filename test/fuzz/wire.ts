import { connect, type Socket } from 'node:net';
import { AGENT_HEADER } from '../../src/domain/agent-name.ts';
import { encodeFrame, GREETING_REST, LONG, MORE, SIGNATURE } from '../../src/frontends/zmq/zmtp.ts';
import type { Random } from '../sim/random.ts';
import type { Seed } from './seeds.ts';
import { mutated, WORDS } from './mutate.ts';

export type Outcome = 'answered' | 'refused' | 'silent';

const READY = Buffer.from('\u0005READY\u000bSocket-Type\0\0\0\u0003REQ');

/** The handshake of a REQ socket, which may name itself. */
function greetingOf(name: Buffer | undefined): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(name?.length ?? 0);
  const identity = name === undefined ? [] : [Buffer.from('\bIdentity'), length, name];
  const ready = encodeFrame(Buffer.concat([READY, ...identity]), 4);
  return Buffer.concat([SIGNATURE, Buffer.from([3]), GREETING_REST, ready]);
}

/** How an agent may call itself: by what breaks tables and terminals, by bytes that are no text, by too much. */
function agentName(random: Random): Buffer {
  switch (random.weighted({ word: 3, bytes: 1, long: 1 })) {
    case 'word':
      return Buffer.from(`${random.pick(WORDS)}${random.whole(0, 9)}`);
    case 'bytes':
      return Buffer.from(Array.from({ length: random.whole(1, 255) }, () => random.whole(0, 255)));
    case 'long':
      return Buffer.alloc(random.pick([255, 256, 65_536]), 'n');
  }
}

/** What a peer says of itself before the first frame of an answer: 64 bytes of greeting and its READY command. */
const GREETING_BYTES = 64;
/** Of an approver: nothing is refused for want of a role. A change needs a reason, which no seed gives. */
export const FUZZ_TOKEN = 'the-token-of-an-approver';
/** What is unfinished gets no answer. */
const PATIENCE_MS = 3_000;
const SHORT_PATIENCE_MS = 150;

interface Sent {
  /** What is sent first: the rest follows when the peer has answered it, as the protocol asks. */
  readonly greeting?: Buffer;
  readonly bytes: Buffer;
  /** Whether the server must answer it, or end the connection. */
  readonly isWhole: boolean;
}

/** A mutated request over ZeroMQ: mutations of its frames, lengths and envelope, or of the handshake. */
export function zmqMessage({ body }: Seed, random: Random): Sent {
  const text = mutated(body, random);
  const named = greetingOf(random.chance(0.3) ? agentName(random) : undefined);
  const framed = (): Buffer => Buffer.concat([encodeFrame(Buffer.alloc(0), MORE), encodeFrame(text, 0)]);
  const whole = (bytes: Buffer): Sent => ({ greeting: named, bytes, isWhole: true });
  switch (
    random.weighted({ plain: 14, frames: 1, half: 1, length: 1, command: 1, greeting: 1, garbage: 1 })
  ) {
    case 'plain':
      return whole(framed());
    case 'frames':
      return whole(
        Buffer.concat([
          framed().subarray(0, 2),
          ...Array(random.whole(1, 50)).fill(encodeFrame(text.subarray(0, 100), MORE)),
          encodeFrame(text, 0),
        ]),
      );
    case 'half':
      return { ...whole(framed().subarray(0, random.whole(1, Math.max(1, text.length)))), isWhole: false };
    case 'length': {
      const length = Buffer.alloc(8);
      length.writeBigUInt64BE(random.pick([5n, 4_194_305n, 33_000_000n, 2n ** 63n]));
      return {
        ...whole(Buffer.concat([Buffer.from([LONG]), length, text.subarray(0, 1_000)])),
        isWhole: false,
      };
    }
    case 'command':
      return {
        ...whole(encodeFrame(Buffer.concat([Buffer.from('\u0004PING\0\u0001'), text.subarray(0, 60)]), 4)),
        isWhole: false,
      };
    case 'greeting': {
      const greeting = Buffer.from(named);
      greeting[random.whole(0, greeting.length - 1)] = random.whole(0, 255);
      return { bytes: Buffer.concat([greeting, framed()]), isWhole: false };
    }
    case 'garbage':
      return { bytes: text, isWhole: false };
  }
}

/** A request over HTTP, as its parts are sent. */
interface HttpParts {
  /** Up to the length of the body. */
  readonly head: string;
  readonly content: Buffer;
  readonly random: Random;
}

const BAD_CHUNK = 'zz\r\n{}\r\n0\r\n\r\n';
const CHUNKED = 'transfer-encoding: chunked\r\n\r\n';

function sized({ head, content }: HttpParts, length: number = content.length): Buffer {
  return Buffer.concat([Buffer.from(`${head}content-length: ${length}\r\n\r\n`), content]);
}

/** How lengths, chunks and headers are mutated, and how often. */
const HTTP_FORMS = {
  plain: { weight: 14, make: (parts) => ({ bytes: sized(parts), isWhole: true }) },
  chunked: {
    weight: 2,
    make: ({ head, content, random }) => ({
      bytes: Buffer.concat([Buffer.from(head + CHUNKED), ...chunksOf(content, random)]),
      isWhole: true,
    }),
  },
  short: {
    weight: 1,
    make: (parts) => ({ bytes: sized(parts, Math.floor(parts.content.length / 2)), isWhole: true }),
  },
  long: {
    weight: 1,
    make: (parts) => ({
      bytes: sized(parts, parts.content.length + parts.random.pick([1, 4_000_000])),
      isWhole: false,
    }),
  },
  badChunk: {
    weight: 1,
    make: ({ head }) => ({ bytes: Buffer.from(head + CHUNKED + BAD_CHUNK), isWhole: true }),
  },
  header: {
    weight: 1,
    make: (parts) => {
      const head = `${parts.head}x: ${'y'.repeat(parts.random.pick([100, 20_000]))}\r\n`;
      return { bytes: sized({ ...parts, head }), isWhole: true };
    },
  },
  host: {
    weight: 1,
    make: (parts) => ({
      bytes: sized({ ...parts, head: parts.head.replace('localhost', 'evil.example') }),
      isWhole: true,
    }),
  },
  half: {
    weight: 1,
    make: (parts) => ({
      bytes: sized(parts).subarray(0, parts.random.whole(1, parts.head.length)),
      isWhole: false,
    }),
  },
} as const satisfies Record<string, { readonly weight: number; make(parts: HttpParts): Sent }>;

type HttpForm = keyof typeof HTTP_FORMS;

const HTTP_WEIGHTS = Object.fromEntries(
  Object.entries(HTTP_FORMS).map(([name, { weight }]) => [name, weight]),
) as Record<HttpForm, number>;

const CONTENT_TYPES = ['application/json', 'application/json', 'application/json', 'text/plain'];

/** A mutated request over HTTP: mutations of address, headers, lengths and chunks. */
export function httpMessage({ method, path, body }: Seed, random: Random): Sent {
  const isLook = method === 'GET' && random.chance(0.8);
  const content = isLook ? Buffer.alloc(0) : mutated(body, random);
  const at = random.chance(0.1) ? otherAddress(path, random) : path;
  const lines = [
    `${isLook ? 'GET' : 'POST'} ${at} HTTP/1.1`,
    'host: localhost',
    'connection: close',
    `authorization: Bearer ${FUZZ_TOKEN}`,
    `content-type: ${random.pick(CONTENT_TYPES)}`,
    ...(random.chance(0.3) ? [`${AGENT_HEADER}: ${agentName(random).toString('latin1')}`] : []),
    '',
  ];
  return HTTP_FORMS[random.weighted(HTTP_WEIGHTS)].make({ head: lines.join('\r\n'), content, random });
}

function otherAddress(path: string, random: Random): string {
  return random.pick([
    `${path}/../..`,
    `${path}%00`,
    `${path}?limit=-1`,
    `${path}/${'a'.repeat(10_000)}`,
    `/${path}`,
    '*',
  ]);
}

function chunksOf(content: Buffer, random: Random): Buffer[] {
  const chunks: Buffer[] = [];
  for (let from = 0; from < content.length;) {
    const size = Math.min(
      content.length - from,
      random.pick([1, 100, 65_536]) + Math.floor(content.length / 50),
    );
    chunks.push(
      Buffer.from(`${size.toString(16)}\r\n`),
      content.subarray(from, from + size),
      Buffer.from('\r\n'),
    );
    from += size;
  }
  return [...chunks, Buffer.from('0\r\n\r\n')];
}

/** Sends the bytes over a connection of their own, and looks at what comes back. */
export async function exchange(
  port: number,
  { greeting, bytes, isWhole }: Sent,
  protocol: 'zmq' | 'http',
): Promise<Outcome> {
  const socket = connect(port, '127.0.0.1');
  const received: Buffer[] = [];
  const found = await new Promise<Outcome>((resolve) => {
    const timer = setTimeout(() => resolve('silent'), isWhole ? PATIENCE_MS : SHORT_PATIENCE_MS);
    const end = (): void => {
      clearTimeout(timer);
      resolve(judged(Buffer.concat(received), protocol));
    };
    let isGreeted = greeting === undefined;
    socket.on('data', (chunk) => {
      received.push(chunk);
      if (!isGreeted && bytesBehindReady(received) >= 0) {
        isGreeted = true;
        socket.write(bytes);
      } else if (protocol === 'zmq' && bytesBehindReady(received) > 2) end();
    });
    socket.on('error', end).on('close', end);
    socket.write(greeting ?? bytes);
  });
  leave(socket);
  return found;
}

function leave(socket: Socket): void {
  socket
    .removeAllListeners()
    .on('error', () => undefined)
    .destroy();
}

/** What has come behind the greeting and the READY command; below zero while these have not come. */
function bytesBehindReady(received: readonly Buffer[]): number {
  const bytes = Buffer.concat(received);
  const ready = bytes[GREETING_BYTES + 1];
  return ready === undefined ? -1 : bytes.length - (GREETING_BYTES + 2 + ready);
}

function judged(bytes: Buffer, protocol: 'zmq' | 'http'): Outcome {
  if (protocol === 'http')
    return /^HTTP\/1\.1 [23]/.test(bytes.toString('latin1', 0, 12)) ? 'answered' : 'refused';
  if (bytesBehindReady([bytes]) <= 2) return 'refused';
  return /"status": ?"error"|"error":/.test(bytes.toString('latin1')) ? 'refused' : 'answered';
}

import { readFile } from 'node:fs/promises';
import { Context, Reply, type Router } from 'zeromq';
import { messageOf } from '../../domain/errors.ts';
import { fileProblem } from '../../shared/file-problem.ts';
import type { AccessSettings } from '../settings.ts';

interface CurveSettings {
  /** The server's secret key, in Z85. */
  readonly secretKeyFile: string;
  /** Public keys of the allowed clients, in Z85, one per line, each followed by a name. */
  readonly clientsFile: string;
}

/** Encryption of the ZeroMQ front, and the list of allowed clients. It does not identify the agent; `auth.key` does that. */
export interface Curve {
  /** The context of the front's socket. libzmq finds the authentication handler by it. */
  readonly context: Context;
  /** Call it before the socket is bound. @throws Error with the unusable file */
  protect(socket: Router): Promise<void>;
  stop(): void;
}

const ZAP_ADDRESS = 'inproc://zeromq.zap.01';
const ZAP_VERSION = '1.0';
const OK = ['200', 'OK'] as const;
const UNKNOWN_CLIENT = ['400', 'The public key is not on the list of clients'] as const;
const BROKEN_LIST = ['500', 'The list of clients cannot be read'] as const;

/** Undefined if CURVE is not configured. */
export function curveOf(
  { curveSecretKeyFile: secretKeyFile, curveClientsFile: clientsFile }: AccessSettings,
  onProblem: (message: string) => void,
): Curve | undefined {
  if (secretKeyFile === undefined || clientsFile === undefined) return undefined;
  return createCurve({ secretKeyFile, clientsFile }, onProblem);
}

/**
 * CURVE with an allow-list. libzmq asks over ZAP (RFC 27) for every new connection. The list is read each time, so an added client can
 * connect at once, and a removed one cannot connect again.
 */
function createCurve(settings: CurveSettings, onProblem: (message: string) => void): Curve {
  const context = new Context();
  const handler = new Reply({ context, linger: 0 });

  async function statusFor(credentials: Buffer | undefined): Promise<readonly [string, string]> {
    try {
      const clients = await readClients(settings.clientsFile);
      return credentials !== undefined && clients.has(encodeZ85(credentials)) ? OK : UNKNOWN_CLIENT;
    } catch (error) {
      onProblem(messageOf(error));
      return BROKEN_LIST;
    }
  }

  async function answer(): Promise<void> {
    for await (const [, requestId = '', , , , mechanism, credentials] of handler) {
      const isCurve = String(mechanism) === 'CURVE';
      const [code, text] = isCurve ? await statusFor(credentials) : UNKNOWN_CLIENT;
      await handler.send([ZAP_VERSION, requestId, code, text, '', '']);
    }
  }

  return {
    context,
    async protect(socket) {
      const secretKey = (await read(settings.secretKeyFile, 'access.curveSecretKeyFile')).trim();
      if (!isCurveKey(secretKey))
        throw new Error(
          `access.curveSecretKeyFile ${settings.secretKeyFile} does not contain a CURVE key (40 characters): create one with crossfade orchestrator keys curve`,
        );
      await readClients(settings.clientsFile);
      // Without a handler libzmq would accept every client, so the handler starts before the front.
      await handler.bind(ZAP_ADDRESS);
      answer().catch((error: unknown) => onProblem(messageOf(error)));
      socket.curveServer = true;
      socket.curveSecretKey = secretKey;
    },
    stop() {
      if (!handler.closed) handler.close();
    },
  };
}

/** @throws Error with the first line without a key */
async function readClients(path: string): Promise<ReadonlySet<string>> {
  const lines = (await read(path, 'access.curveClientsFile')).split('\n').map((line) => line.trim());
  const clients = new Set<string>();
  for (const [index, line] of lines.entries()) {
    // The alphabet of the keys includes #, so a comment starts with # and a space.
    if (line === '' || line.startsWith('# ')) continue;
    const [key = ''] = line.split(/\s+/);
    if (!isCurveKey(key))
      throw new Error(`${path}:${index + 1}: the line must start with a CURVE public key (40 characters)`);
    clients.add(key);
  }
  return clients;
}

async function read(path: string, setting: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new Error(`${setting} ${path} cannot be read: ${fileProblem(error)}`, { cause: error });
  }
}

const ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#';
const RADIX = 85;
const WORD_BYTES = 4;
const WORD_CHARACTERS = 5;

/** ZeroMQ's text form of a CURVE key: 40 characters for 32 bytes. @param bytes a multiple of four */
export function encodeZ85(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes);
  let text = '';
  for (let at = 0; at + WORD_BYTES <= buffer.length; at += WORD_BYTES) {
    let word = buffer.readUInt32BE(at);
    let characters = '';
    for (let place = 0; place < WORD_CHARACTERS; place += 1) {
      characters = (ALPHABET[word % RADIX] ?? '') + characters;
      word = Math.floor(word / RADIX);
    }
    text += characters;
  }
  return text;
}

const CURVE_KEY = /^[0-9a-zA-Z.\-:+=^!/*?&<>()[\]{}@%$#]{40}$/;

export function isCurveKey(text: string): boolean {
  return CURVE_KEY.test(text);
}

import { readFile } from 'node:fs/promises';
import { Context, Reply, type Router } from 'zeromq';
import { messageOf } from '../../domain/errors.ts';
import type { AccessSettings } from './settings.ts';
import { encodeZ85, isCurveKey } from './z85.ts';

interface CurveSettings {
  /** The server's secret key, in Z85. */
  readonly secretKeyFile: string;
  /** Public keys of the clients that are let in, in Z85, one a line; what follows the key is its name. */
  readonly clientsFile: string;
}

/** Encryption of the ZeroMQ front, and who may connect. It does not name the agent: that is what `auth.key` does. */
export interface Curve {
  /** Where the front's socket lives: the one that asks is found by its context. */
  readonly context: Context;
  /** To be called before the socket is bound. @throws Error naming the file that cannot be used */
  protect(socket: Router): Promise<void>;
  stop(): void;
}

const ZAP_ADDRESS = 'inproc://zeromq.zap.01';
const ZAP_VERSION = '1.0';
const OK = ['200', 'OK'] as const;
const UNKNOWN_CLIENT = ['400', 'The public key is not on the list of clients'] as const;
const BROKEN_LIST = ['500', 'The list of clients cannot be read'] as const;

/** Undefined where it is not asked for. */
export function curveOf(
  { curveSecretKeyFile: secretKeyFile, curveClientsFile: clientsFile }: AccessSettings,
  onProblem: (message: string) => void,
): Curve | undefined {
  if (secretKeyFile === undefined || clientsFile === undefined) return undefined;
  return createCurve({ secretKeyFile, clientsFile }, onProblem);
}

/**
 * CURVE with an allow-list. libzmq asks for every connection that is made, over ZAP (RFC 27); the list is read anew each time, so a
 * client that is added can connect at once, and one that is taken away cannot connect again.
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
      // Without somebody who answers, libzmq would let every client in: first the handler, then the front.
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

/** @throws Error naming the first line that holds no key */
async function readClients(path: string): Promise<ReadonlySet<string>> {
  const lines = (await read(path, 'access.curveClientsFile')).split('\n').map((line) => line.trim());
  const clients = new Set<string>();
  for (const [index, line] of lines.entries()) {
    // The alphabet of the keys has the sign too: a comment is the sign and a space.
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
    throw new Error(`${setting} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

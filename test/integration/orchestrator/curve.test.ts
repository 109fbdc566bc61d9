import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { curveKeyPair, Dealer } from 'zeromq';
import { createOrchestratorClient } from '../../../src/backends/orchestrator.ts';
import { systemClock as clock } from '../../../src/shared/clock.ts';
import type { SessionId } from '../../../src/domain/ids.ts';
import { encodeZ85, isCurveKey } from '../../../src/orchestrator/access/curve.ts';
import { type GuardedOrchestrator, startGuarded } from '../../support/access.ts';
import { reached } from '../../support/reached.ts';

const [server, friend, stranger] = [curveKeyPair(), curveKeyPair(), curveKeyPair()];

let folder: string;
let orchestrator: GuardedOrchestrator;
let files: { readonly curveSecretKeyFile: string; readonly curveClientsFile: string };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'crossfade-curve-'));
  files = { curveSecretKeyFile: join(folder, 'server.key'), curveClientsFile: join(folder, 'clients') };
  await writeFile(files.curveSecretKeyFile, `${server.secretKey}\n`);
  await writeFile(files.curveClientsFile, `# who may connect\n\n${friend.publicKey} friend\n`);
  orchestrator = await startGuarded({ access: { keys: 'required', ...files } });
});
afterAll(async () => {
  await orchestrator.stop();
  await rm(folder, { recursive: true, force: true });
});

interface Pair {
  readonly publicKey: string;
  readonly secretKey: string;
}

/** What comes back within half a second, or in longer where there should be something. */
async function replyTo(
  pair: Pair | undefined,
  { serverKey = server.publicKey, withinMs = 500 } = {},
): Promise<string | undefined> {
  const socket = new Dealer({
    linger: 0,
    receiveTimeout: withinMs,
    ...(pair !== undefined && {
      curveServerKey: serverKey,
      curvePublicKey: pair.publicKey,
      curveSecretKey: pair.secretKey,
    }),
  });
  socket.connect(`tcp://127.0.0.1:${orchestrator.port}`);
  try {
    await socket.send(['', '{"action":"ping"}']);
    const [, reply] = await socket.receive();
    return String(reply);
  } catch {
    return undefined;
  } finally {
    socket.close();
  }
}

describe('CURVE', () => {
  test('accepts only listed clients', async () => {
    expect(await replyTo(friend, { withinMs: 20_000 })).toContain('"success"');
    expect(await replyTo(stranger)).toBeUndefined();
    expect(await replyTo(undefined)).toBeUndefined();
    expect(await replyTo(friend, { serverKey: stranger.publicKey })).toBeUndefined();
  });

  test('an added client is accepted at once, a removed one no longer', async () => {
    await writeFile(files.curveClientsFile, `${stranger.publicKey} stranger\n`);
    expect(await replyTo(stranger, { withinMs: 20_000 })).toContain('"success"');
    expect(await replyTo(friend)).toBeUndefined();
    await writeFile(files.curveClientsFile, 'not a key\n');
    expect(await replyTo(stranger)).toBeUndefined();
    await writeFile(files.curveClientsFile, `${friend.publicKey} friend\n`);
    expect(await replyTo(friend, { withinMs: 20_000 })).toContain('"success"');
  });

  test("the proxy's client speaks it, and shows its API key", async () => {
    const { text: key } = await orchestrator.grant({ agent: 'proxy', role: 'migration' });
    const askOnce = async (pair: Pair, apiKey?: string) => {
      const client = createOrchestratorClient({
        endpoint: `tcp://127.0.0.1:${orchestrator.port}`,
        clock,
        curve: { serverKey: server.publicKey, ...pair },
        ...(apiKey !== undefined && { key: apiKey }),
      });
      await client.start();
      const options = { purpose: 'live' as const, deadlineAtMs: clock.now() + 15_000 };
      try {
        const write = {
          action: 'upsert_session',
          sessionId: 'curve' as SessionId,
          payload: { user_id: 'u' },
        } as const;
        await client.batchWrite(
          [{ ...write, lane: { key: 'svc/curve', generation: 1, sequence: 1 } }],
          options,
        );
        const answer = await client.read(
          { action: 'scan', sessionId: 'curve' as SessionId, payload: {} },
          options,
        );
        return answer.data['session'];
      } finally {
        await client.stop();
      }
    };
    const ask = (...by: Parameters<typeof askOnce>) => reached(() => askOnce(...by));
    expect(await ask(friend, key)).toMatchObject({ user_id: 'u' });
    await expect(ask(friend)).rejects.toMatchObject({ code: 'permission_denied', effect: 'rejected' });
    await expect(askOnce(stranger, key)).rejects.toMatchObject({
      reason: 'unreachable',
      effect: 'not_applied',
    });
  });

  test('keys are spelled as ZeroMQ spells them', () => {
    expect(encodeZ85(Buffer.from('864fd26fb559f75b', 'hex'))).toBe('HelloWorld');
    for (const key of [server.publicKey, server.secretKey]) expect(isCurveKey(key)).toBe(true);
    for (const key of ['', 'x'.repeat(39), 'x'.repeat(41), `${'x'.repeat(39)}"`])
      expect(isCurveKey(key)).toBe(false);
  });

  test('unusable files stop the start, and are named', async () => {
    const bad = join(folder, 'bad');
    await writeFile(bad, 'short\n');
    const starting = (more: object) =>
      orchestrator.restart({ access: { keys: 'required', ...files, ...more } });
    await expect(starting({ curveSecretKeyFile: bad })).rejects.toThrow(
      `access.curveSecretKeyFile ${bad} does not contain a CURVE key`,
    );
    await expect(starting({ curveClientsFile: bad })).rejects.toThrow(`${bad}:1:`);
    const none = join(folder, 'none');
    await expect(starting({ curveClientsFile: none })).rejects.toThrow(
      `access.curveClientsFile ${none} cannot be read: no such file or folder`,
    );
    await expect(starting({ curveClientsFile: undefined })).rejects.toThrow('must both be set');
  });
});

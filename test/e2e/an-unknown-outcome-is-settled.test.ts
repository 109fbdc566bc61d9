import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { readLegacyStores } from '../accept/stores.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import {
  addInteraction,
  createSession,
  createSessionAgent,
  freshSession,
  type SessionAgent,
} from '../support/session-agent.ts';

const execFileAsync = promisify(execFile);
const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const SERVICE = 'session-memory';
const DEADLINE_MS = 1_500;
const ANN = { person: 'ann', reason: 'saw it in the service' };

let deployment: Deployment;
let agent: SessionAgent;
let session: string;

beforeAll(async () => {
  deployment = await startDeployment({
    config: { proxy: { deadlineMs: DEADLINE_MS } },
    isSessionStoreUnknown: true,
  });
  await deployment.ask({ dualWrite: true, shadowRead: 0, readCutover: 0 });
});

afterAll(async () => {
  agent?.close();
  await deployment?.end();
});

interface Unknown {
  readonly operation_id: string;
  readonly lane: string;
  readonly end: string | null;
  readonly closed_at: string | null;
  readonly waits_for: string | null;
  readonly choices: readonly string[];
}

async function ledger(state = 'all'): Promise<Unknown[]> {
  const response = await fetch(`${deployment.httpUrl}/v1/unknown-outcomes?state=${state}`);
  const { unknown_outcomes: found } = (await response.json()) as { unknown_outcomes: Unknown[] };
  return found.filter(({ lane }) => lane === `${SERVICE}/${session}`);
}

async function stored(): Promise<string[]> {
  const rows = await deployment.store<{ text: string }>(
    `select content::text as text from memory_entries where session_id = '${session}' and is_active order by position`,
  );
  return rows.map(({ text }) => text);
}

const storedWithin = (texts: readonly string[]) =>
  eventually(`${texts.join()} on the orchestrator`, async () => {
    const found = await stored();
    return found.length === texts.length && texts.every((text, index) => found[index]?.includes(text));
  });

async function laneRow() {
  const [row] = await deployment.journal<{ condition: string; generation: number }>(
    `select condition, generation::int from lanes where key = '${SERVICE}/${session}'`,
  );
  return row;
}

async function assume(operation: string, outcome: string) {
  const response = await fetch(`${deployment.httpUrl}/v1/unknown-outcomes/${operation}/assume`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...ANN, outcome }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

/** A minute later nobody listens for the reply any more. */
const aMinuteLater = () =>
  deployment.journal(
    `update unknown_outcomes set found_at = found_at - interval '61 seconds' where ended_at is null`,
  );

/** A write that reaches the service, and whose reply never comes back. */
async function writeWithoutReply(text: string): Promise<Unknown> {
  deployment.standIns.setFaults(SERVICE, { hang: 'after_effect' });
  expect((await agent.ask(addInteraction(session, text))).status).toBe('error');
  await eventually('the service has it', () =>
    readLegacyStores(deployment.legacyFolder)
      .sessions.get(session)
      ?.some((item) => item.endsWith(`\n${text}`)),
  );
  deployment.legacyPath.reset();
  deployment.standIns.setFaults(SERVICE, {});
  const [found] = await eventually('the ledger names it', async () => {
    const open = await ledger('open');
    return open.length > 0 && open;
  });
  if (found === undefined) throw new Error('nothing is open');
  return found;
}

/** Until the probes are answered writes are refused, and not done. */
const writtenAtLast = (text: string) =>
  eventually('writes are let through', async () => {
    const { status } = await agent.ask(addInteraction(session, text));
    return status !== 'error';
  });

beforeEach(async () => {
  agent?.close();
  agent = createSessionAgent(deployment.endpoints[SERVICE]);
  session = freshSession();
  await agent.ask(createSession(session));
  await agent.ask(addInteraction(session, 'before'));
  await storedWithin(['before']);
});

test('a late reply settles its write, which is then delivered', async () => {
  deployment.legacyPath.silence();
  expect((await agent.ask(addInteraction(session, 'late'))).status).toBe('error');
  // The agent is answered first, then the journal is told.
  await eventually('a dirty lane', async () => (await laneRow())?.condition === 'dirty');
  await deployment.legacyPath.pass();
  await storedWithin(['before', 'late']);
  expect(await ledger()).toMatchObject([
    { end: 'late_reply', closed_at: expect.any(String), waits_for: null },
  ]);
  // Nothing was copied: the reply itself was the proof.
  expect(await laneRow()).toEqual({ condition: 'clean', generation: 0 });
  await writtenAtLast('after');
  await storedWithin(['before', 'late', 'after']);
});

test('if the service cannot be read, a person decides: assume applied', async () => {
  const { operation_id: id, ...open } = await writeWithoutReply('unknown');
  expect(open).toMatchObject({ end: null, waits_for: 'late_reply', choices: [] });
  expect(await assume(id, 'applied')).toMatchObject({ status: 409, body: { error: 'too_early' } });
  await writtenAtLast('after');
  await aMinuteLater();
  expect(await ledger('open')).toMatchObject([
    { waits_for: 'person', choices: ['assume-applied', 'assume-lost'] },
  ]);
  expect(await assume(id, 'perhaps')).toMatchObject({ status: 400, body: { error: 'invalid_request' } });
  expect(await assume(id, 'applied')).toMatchObject({ status: 200, body: { state: 'assumed_applied' } });
  await storedWithin(['before', 'unknown', 'after']);
  expect((await laneRow())?.condition).toBe('clean');
  expect(await assume(id, 'lost')).toMatchObject({ status: 409, body: { error: 'ended' } });
  const audit = (await (await fetch(`${deployment.httpUrl}/v1/audit`)).json()) as { entries: object[] };
  expect(audit.entries[0]).toMatchObject({
    ...ANN,
    command: 'unknown-outcomes assume-applied',
    details: { operation_id: id },
  });
});

test('or assume lost, by the command line', async () => {
  const { operation_id: id } = await writeWithoutReply('lost');
  await aMinuteLater();
  const run = async (...args: string[]): Promise<string> =>
    (await execFileAsync(process.execPath, [MAIN, ...args, '--url', deployment.httpUrl])).stdout;
  const listed = await run('unknown-outcomes', 'list', '--service', SERVICE);
  expect(listed).toMatch(new RegExp(`of ${SERVICE}/.* a person must decide .*${id}`));
  expect(await run('status')).toMatch(/unknown outcomes +1 \(a person must decide/);
  const said = await run('unknown-outcomes', 'assume-lost', id, '--person', 'ann', '--reason', 'not there');
  expect(said).toBe(`${id} counts as lost.\n`);
  await eventually('the lane is clean', async () => (await laneRow())?.condition === 'clean');
  await writtenAtLast('after');
  await storedWithin(['before', 'after']);
});

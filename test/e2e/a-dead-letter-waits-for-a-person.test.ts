import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
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
const SECRET = 'what nobody but ann may read';
/** The orchestrator takes at most 1 MiB of content. */
const TOO_LONG = `${SECRET} ${'x'.repeat(1_100_000)}`;
const ANN = { person: 'ann', reason: 'looked at it' };

let deployment: Deployment;
let agent: SessionAgent;
let session: string;

beforeAll(async () => {
  deployment = await startDeployment();
  await deployment.ask({ dualWrite: true, shadowRead: 0, readCutover: 0 });
  agent = createSessionAgent(deployment.endpoints[SERVICE]);
});

afterAll(async () => {
  agent?.close();
  await deployment?.end();
});

interface Letter {
  readonly operation_id: string;
  readonly lane: string;
  readonly sequence: number;
  readonly state: string;
  readonly attempts: number;
  readonly through: boolean;
  readonly waiting_behind: number;
}

async function letters(state = 'open'): Promise<Letter[]> {
  const response = await fetch(`${deployment.httpUrl}/v1/dead-letters?state=${state}&service=${SERVICE}`);
  const { dead_letters: found } = (await response.json()) as { dead_letters: Letter[] };
  return found.filter(({ lane }) => lane === `${SERVICE}/${session}`);
}

async function letter(state = 'open'): Promise<Letter> {
  return eventually(`a letter that is ${state}`, async () => (await letters(state))[0]);
}

async function post(path: string, body: object = ANN) {
  const response = await fetch(`${deployment.httpUrl}/v1/dead-letters/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

/** What the orchestrator holds of the session, oldest first. */
async function stored(): Promise<string[]> {
  const rows = await deployment.store<{ text: string }>(
    `select coalesce(content->>'content', content->>'text', content::text) as text from memory_entries
     where session_id = '${session}' and is_active order by position`,
  );
  return rows.map(({ text }) => text);
}

const storedWithin = (texts: readonly string[]) =>
  eventually(`${texts.join()} on the orchestrator`, async () => {
    const found = await stored();
    return found.length === texts.length && texts.every((text, index) => found[index]?.includes(text));
  });

/** A lane that waits behind its second interaction. */
beforeEach(async () => {
  session = freshSession();
  await agent.ask(createSession(session));
  for (const text of ['first', TOO_LONG, 'third']) await agent.ask(addInteraction(session, text));
  await storedWithin(['first']);
});

test('earlier writes are delivered, later ones wait, and a restart sends nothing again', async () => {
  await eventually('one waits', async () => (await letter()).waiting_behind === 1);
  expect(await letter()).toMatchObject({ state: 'open', attempts: 1, sequence: 3, through: false });
  const other = freshSession();
  await agent.ask(createSession(other));
  await agent.ask(addInteraction(other, 'another lane'));
  await eventually('the other lane goes on', async () => {
    const rows = await deployment.store(`select 1 from memory_entries where session_id = '${other}'`);
    return rows.length === 1;
  });
  agent.close();
  await deployment.restart();
  agent = createSessionAgent(deployment.endpoints[SERVICE]);
  await agent.ask(addInteraction(session, 'fourth'));
  await eventually('one more waits', async () => (await letter()).waiting_behind === 2);
  expect(await letter()).toMatchObject({ attempts: 1 });
  expect(await stored()).toHaveLength(1);
});

test('it is shown without its content', async () => {
  const { operation_id: id } = await letter();
  const text = await (await fetch(`${deployment.httpUrl}/v1/dead-letters/${id}`)).text();
  expect(text).not.toContain(SECRET);
  expect(JSON.parse(text)).toMatchObject({
    code: 'validation_error',
    request: {
      action: expect.stringMatching(/^string\(15\)#/),
      content: expect.stringMatching(/^string\(11000/),
    },
  });
});

test('it is skipped with a reason, the lane continues, and that is audited', async () => {
  const { operation_id: id } = await letter();
  expect(await post(`${id}/skip`, { person: 'ann' })).toMatchObject({
    status: 400,
    body: { error: 'invalid_request' },
  });
  expect(await post(`${id}/skip`, { person: 'ann', reason: '  ' })).toMatchObject({ status: 400 });
  expect(await post(`${id}/skip`)).toMatchObject({ status: 200, body: { state: 'skipped' } });
  await storedWithin(['first', 'third']);
  await eventually('passed', async () => (await letter('ended')).through);
  expect(await post(`${id}/skip`)).toMatchObject({ status: 409, body: { error: 'ended' } });
  const audit = (await (await fetch(`${deployment.httpUrl}/v1/audit`)).json()) as { entries: object[] };
  expect(audit.entries[0]).toMatchObject({
    ...ANN,
    command: 'dead-letters skip',
    service: SERVICE,
    details: { operation_id: id, sequence: 3 },
  });
});

test('it is redriven: refused again it waits, accepted the lane continues', async () => {
  const { operation_id: id } = await letter();
  expect(await post(`${id}/redrive`)).toMatchObject({ status: 200 });
  await eventually('refused again', async () => (await letters()).some(({ attempts }) => attempts === 2));
  // Somebody mends what the orchestrator refuses.
  await deployment.journal(
    `update writes set request = regexp_replace(request, 'xxx+', 'mended') where operation_id = '${id}'`,
  );
  await post(`${id}/redrive`, { person: 'ann', reason: 'mended' });
  await storedWithin(['first', 'mended', 'third']);
  expect(await letter('ended')).toMatchObject({ state: 'redriven', attempts: 2 });
});

test('its lane is copied instead: the copy lists the refused item, the lane continues', async () => {
  const { operation_id: id } = await letter();
  expect(await post(`${id}/copy`)).toMatchObject({ status: 200, body: { state: 'copying' } });
  await storedWithin(['first', 'third']);
  await eventually('passed', async () => (await letter('ended')).through);
  expect(await letter('ended')).toMatchObject({ state: 'copied' });
  const { lanes } = (await deployment.serviceStatus(SERVICE)) as { lanes: Record<string, number> };
  expect(lanes['excepted']).toBe(1);
  const audit = (await (await fetch(`${deployment.httpUrl}/v1/audit`)).json()) as { entries: object[] };
  expect(audit.entries[0]).toMatchObject({ ...ANN, command: 'dead-letters copy' });
});

test('the command line lists, shows and decides', async () => {
  const { operation_id: id } = await letter();
  const at = ['--url', deployment.httpUrl];
  const run = async (...args: string[]): Promise<string> =>
    (await execFileAsync(process.execPath, [MAIN, ...args, ...at])).stdout;
  const listed = await run('dead-letters', 'list', '--service', SERVICE);
  expect(listed.split('\n')[0]).toMatch(/^write +state +reason +refused/);
  expect(listed).toContain(id);
  const json = JSON.parse(await run('dead-letters', 'list', '--json')) as { dead_letters: Letter[] };
  expect(json.dead_letters.map((one) => one.operation_id)).toContain(id);
  expect(await run('dead-letters', 'show', id)).toContain(`operation_id: ${id}`);
  expect(await run('status')).toMatch(
    /replication lag +[\d.]+ (?:s|min) \([1-9]\d* writes? to deliver, in [1-9]\d* lanes?\)/,
  );
  await expect(run('dead-letters', 'skip', id, '--person', 'ann')).rejects.toThrow('--reason');
  const said = await run('dead-letters', 'skip', id, '--person', 'ann', '--reason', 'not needed');
  expect(said).toBe(`${id} is skipped for good.\n`);
  expect(await run('audit', '--service', SERVICE)).toMatch(/ann +dead-letters skip +\S+ +not needed/);
  const newest = (await run('audit', '--service', SERVICE, '--limit', '1')).trimEnd().split('\n');
  const older = /^more, older entries: --before (\d+)$/.exec(newest[2] ?? '')?.[1] ?? '';
  expect(await run('audit', '--service', SERVICE, '--before', older)).not.toContain('not needed');
  await expect(run('audit', '--service', 'another')).rejects.toThrow('unknown service "another"');
  const lanes = await run('lanes', 'list', SERVICE);
  expect(lanes).toMatch(
    /^owner +condition +last write +writes +delivered +generation +seeded +flip\n\S+ +clean/,
  );
  const owner = /\n(\S+)/.exec(lanes)?.[1] ?? '';
  expect(await run('lanes', 'list', SERVICE, '--owner', `${owner}x`)).toBe('No lanes found\n');
  const mistyped = run('lanes', 'copy', SERVICE, `${owner}x`, '--person', 'ann', '--reason', 'a slip');
  await expect(mistyped).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining('its owner is unknown to the journal and to legacy'),
  });
  expect(await run('lanes', 'list', SERVICE, '--owner', `${owner}x`)).toBe('No lanes found\n');
  const copied = await run('lanes', 'copy', SERVICE, owner, '--person', 'ann', '--reason', 'to be sure');
  expect(copied).toContain(
    `${SERVICE}/${owner} is being copied; see the result with: crossfade explain ${SERVICE} ${owner}`,
  );
  await storedWithin(['first', 'third']);
  const again = run('dead-letters', 'skip', id, '--person', 'ann', '--reason', 'not needed');
  await expect(again).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining('is already settled (skipped)'),
  });
  expect(await run('status')).toMatch(/\n {2}dead letters +\d+.*\n {2}unknown outcomes +0\n/);
});

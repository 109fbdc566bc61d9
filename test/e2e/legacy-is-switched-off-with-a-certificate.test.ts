import { rm } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EndOfService } from '../../src/operator/api/ends.ts';
import { type CommandResult, resultOf, runCommand } from '../support/command.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { everythingDelivered, readOrchestrator } from '../support/lane-view.ts';
import { addInteraction, askOnce, createSession, getContext } from '../support/session-agent.ts';

const SERVICE = 'session-memory';
const ADA = ['--person', 'ada', '--reason', 'a test'];
const GRACE = ['--person', 'grace', '--reason', 'a test'];

const folder = mkdtempSync(join(tmpdir(), 'crossfade-end-'));
const file = (name: string): string => join(folder, name);

let deployment: Deployment;

beforeAll(async () => {
  deployment = await startDeployment({
    only: [SERVICE],
    config: { readOnly: { requiredSeconds: 2, settleSeconds: 1, censusSeconds: 1 } },
  });
  await deployment.ask({ dualWrite: true, shadowRead: 0, readCutover: 0 });
  for (const session of ['s-moved', 's-left']) {
    await ask(createSession(session));
    await ask(addInteraction(session, 'before'));
  }
  await everythingDelivered(deployment);
  expect((await command('reconcile', '--service', SERVICE, ...ADA)).code).toBe(0);
});

afterAll(async () => {
  await deployment?.end();
  await rm(folder, { recursive: true, force: true });
});

async function ask(request: object): Promise<string> {
  return (await askOnce(deployment.endpoints[SERVICE], { ...request })).text;
}

function command(name: string, ...args: readonly string[]): Promise<CommandResult> {
  return runCommand([name, ...args, '--url', deployment.httpUrl]);
}

async function end(): Promise<EndOfService> {
  return resultOf<EndOfService>(await command('complete', SERVICE, '--json'));
}

/** The conditions that are not met. */
async function missing(): Promise<string[]> {
  return (await end()).completion.filter(({ met }) => !met).map(({ need }) => need);
}

/** Interactions of a session in legacy's own file. */
async function onLegacy(session: string): Promise<number> {
  const { DatabaseSync } = await import('node:sqlite');
  const database = new DatabaseSync(join(deployment.legacyFolder, 'session_memory.db'), { readOnly: true });
  try {
    const [row] = database
      .prepare('select count(*) as items from interactions where session_id = ?')
      .all(session);
    return Number(row?.['items']);
  } finally {
    database.close();
  }
}

test('a service is not read-only while a lane that is not given up is on legacy', async () => {
  const shown = await command('read-only', SERVICE);
  expect(shown.code).toBe(2);
  expect(shown.stdout).toContain('2 lanes not moved');
  expect((await command('read-only', SERVICE, '--confirm', ...ADA)).stderr).toContain(
    'cannot become read-only',
  );
  await deployment.journal(
    `update lanes set primary_backend = 'orchestrator', epoch = 1 where key = '${SERVICE}/s-moved'`,
  );
  expect((await command('read-only', SERVICE)).code).toBe(2);
  expect((await command('read-only', SERVICE, '--give-up', 's-left')).code).toBe(0);
  // Before a service is read-only, no owner has come later.
  expect(await end()).toMatchObject({ lanes: 2, born_since: 0, not_copied: 0 });
});

test('a read-only legacy gets no write, and what only it can answer is still relayed', async () => {
  const begun = await command('read-only', SERVICE, '--confirm', '--give-up', 's-left', ...ADA);
  expect(begun.stderr).toBe('');
  expect(await ask(addInteraction('s-moved', 'after'))).toContain('success');
  expect(await ask(addInteraction('s-left', 'refused'))).toContain('takes no more such requests');
  expect(await ask(createSession('s-born'))).toContain('success');
  await eventually('settled', async () => (await end()).settled_at !== null);
  expect(await end()).toMatchObject({ lanes: 2, born_since: 1 });
  expect(await ask({ action: 'health_check' })).toContain('"status": "ok"');
  expect(await ask(createSession(''))).toContain('takes no more such requests');
  expect(await ask({ action: 'no_such_action' })).toContain('takes no more such requests');
  expect(await ask(getContext('s-moved'))).toContain('after');
  expect(await ask(getContext('s-left'))).toContain('before');
  expect(await onLegacy('s-moved')).toBe(1);
  expect(await onLegacy('s-left')).toBe(1);
  expect(await readOrchestrator(deployment, 's-moved')).toEqual(['user: before', 'user: after']);
});

test('its clock starts with a backup that was restored', async () => {
  expect(await missing()).toContain('time_without_foreign_writer');
  const made = await command(
    'read-only',
    SERVICE,
    '--backup',
    file('backup'),
    '--config',
    deployment.configFile,
    ...ADA,
  );
  expect(made.stderr).toBe('');
  expect((await end()).clock_began_at).not.toBeNull();
  expect((await end()).backup?.scratch_instance).toBe('cannot_be_asked');
  await eventually('a census', async () => !(await missing()).includes('lanes_proven'));
});

// A forgotten connection string went on writing to the old side, unnoticed.
test('a forgotten writer to legacy is found and named, and restarts the clock', async () => {
  const before = await end();
  await askOnce(deployment.direct[SERVICE], addInteraction('s-moved', 'foreign'));
  await eventually('a foreign writer', async () => (await end()).foreign.length === 1);
  const after = await end();
  expect(after.foreign).toMatchObject([{ owner: 's-moved', kind: 'writer', changes: { added: 1 } }]);
  expect(after.clock_restarts).toBe(before.clock_restarts + 1);
  expect(Date.parse(after.clock_began_at ?? '')).toBeGreaterThan(Date.parse(before.clock_began_at ?? ''));
  expect(await missing()).toContain('no_foreign_change');
});

test('what only legacy answered, and what a foreign writer left, is accepted by name', async () => {
  for (const subject of [
    'foreign',
    'answer:health_check',
    'answer:other',
    'answer:unmapped:create_session',
    'answer:pub',
    'nonsense',
  ]) {
    const { code } = await command('complete', SERVICE, '--accept', subject, ...ADA);
    expect({ subject, code }).toEqual({
      subject,
      code: ['nonsense', 'answer:pub'].includes(subject) ? 1 : 0,
    });
  }
  await eventually('the time', async () => !(await missing()).includes('time_without_foreign_writer'));
  expect((await missing()).toSorted()).toEqual(['final_backup', 'two_approvals']);
});

test('two persons complete it, and a lost certificate is signed again', async () => {
  await runCommand(['certificate', 'key', 'create', 'signer', '--folder', folder]);
  const { facts } = await end();
  const confirm = (out = file('certificate.json')): Promise<CommandResult> =>
    command(
      'complete',
      SERVICE,
      '--confirm',
      '--backup',
      file(`last-${Math.random()}`),
      '--key',
      file('signer.key'),
      '--out',
      out,
      '--config',
      deployment.configFile,
      ...ADA,
    );
  expect((await command('complete', SERVICE, '--approve', facts, ...ADA)).code).toBe(0);
  expect((await confirm()).stderr).toContain('1 of 2 persons');
  expect((await command('complete', SERVICE, '--approve', '0'.repeat(64), ...GRACE)).code).toBe(1);
  expect((await command('complete', SERVICE, '--approve', facts, ...GRACE)).code).toBe(0);
  // K14: the command ends after the service is complete, and before the certificate is written.
  const broken = await confirm(join(folder, 'absent', 'certificate.json'));
  expect({ code: broken.code, stderr: broken.stderr }).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('--out: cannot write') as string,
  });
  expect((await end()).state).toBe('complete');
  const issued = await command(
    'certificate',
    'issue',
    SERVICE,
    '--key',
    file('signer.key'),
    '--out',
    file('certificate.json'),
    '--html',
    file('certificate.html'),
    ...ADA,
  );
  expect(issued.stderr).toBe('');
  const verified = await runCommand([
    'certificate',
    'verify',
    file('certificate.json'),
    '--key',
    file('signer.pub'),
  ]);
  expect(verified).toMatchObject({ code: 0, stderr: '' });
  expect(readFileSync(file('certificate.html'), 'utf8')).toContain('session-memory is migrated');
});

test('agents continue without legacy, also after a restart', async () => {
  await deployment.standIns.stop();
  expect(await ask(addInteraction('s-moved', 'alone'))).toContain('success');
  expect(await ask(createSession('s-later'))).toContain('success');
  await deployment.restart();
  expect(await ask(getContext('s-moved'))).toContain('alone');
  expect(await ask(getContext('s-left'))).toContain('before');
  expect(await ask({ action: 'health_check' })).toContain('does not answer this request any more');
  const { services } = await deployment.status();
  expect(services.map(({ stage }) => stage)).toEqual(['complete']);
});

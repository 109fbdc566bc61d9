import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { lockFolder } from '../../../src/storage/folder-lock.ts';
import { connectOrchestrator, startOrchestrator } from '../../support/orchestrator.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';

const PROGRAM = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));

let postgres: TestPostgres;
let url: string;
let folder: string;

beforeAll(async () => {
  postgres = await startPostgres();
  url = await postgres.createDatabase();
  folder = await mkdtemp(join(tmpdir(), 'crossfade-keys-'));
});
afterAll(async () => {
  await postgres.stop();
  await rm(folder, { recursive: true, force: true });
});

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function keys(...args: string[]): Promise<Ran> {
  return new Promise((resolve) => {
    const env = { ...process.env, ORCHESTRATOR_DATABASE_URL: '', ORCHESTRATOR_FOLDER: folder };
    execFile(
      process.execPath,
      [PROGRAM, 'orchestrator', 'keys', ...args],
      { env, cwd: folder },
      (error, out, err) => resolve({ code: error === null ? 0 : Number(error.code), out, err }),
    );
  });
}

const onPostgres = (...args: string[]) => keys(...args, '--database-url', url);

test('a key is created before the first start, shown once, listed and revoked', async () => {
  const made = await onPostgres('create', 'operator', '--role', 'admin', '--expires', '90d');
  expect(made).toMatchObject({
    code: 0,
    err: expect.stringContaining('It is shown only once') as string,
  });
  const key = made.out.trim();
  expect(key).toMatch(/^cfo_[0-9a-f]{12}_[\w-]{43}$/);
  const orchestrator = await startOrchestrator({
    database: { kind: 'postgres', url },
    settings: { access: { keys: 'required', keyCacheMs: 1 } },
  });
  const client = connectOrchestrator(orchestrator.port);
  const ask = () => client.send(JSON.stringify({ action: 'list_sessions', auth: { key } }));
  expect((await ask()).status).toBe('success');

  const listed = await onPostgres('list');
  const keyId = key.slice(4, 16);
  expect(listed.out).toMatch(new RegExp(`^KEY .*STATE.*\\n${keyId}  operator  admin  -      valid until 20`));
  expect(listed.out).not.toContain(key.slice(-43));

  expect(await onPostgres('revoke', keyId)).toEqual({
    code: 0,
    out: `Revoked key ${keyId} of operator.\n`,
    err: '',
  });
  expect((await ask()).error.details['reason']).toBe('key_revoked');
  const [row] = JSON.parse((await onPostgres('list', '--json')).out) as Record<string, unknown>[];
  expect(row).toMatchObject({ key_id: keyId, agent: 'operator', role: 'admin' });
  expect(row?.['revoked_at']).not.toBeNull();
  client.close();
  await orchestrator.stop();
});

test('an embedded database is usable only while its orchestrator is stopped', async () => {
  const made = await keys('create', 'ada', '--users', 'u1, u2', '--rate', '7', '--json');
  expect(made.code).toBe(0);
  expect(JSON.parse(made.out)).toMatchObject({
    agent: 'ada',
    role: 'agent',
    users: ['u1', 'u2'],
    expires_at: null,
  });
  const release = lockFolder(folder);
  const refused = await keys('list');
  release();
  expect(refused).toMatchObject({ code: 1, out: '' });
  expect(refused.err).toContain(folder);
  expect(refused.err).toContain(String(process.pid));
  // Making an embedded database takes 3.5 s, and several times that on a busy machine.
}, 120_000);

test.each([
  [['create', 'x', '--role', 'king'], /Allowed choices are agent, migration, admin/],
  [['create', 'x', '--expires', 'yesterday'], /days from now/],
  [['revoke', 'nonsense'], /unknown key "nonsense"/],
])('%j explains the problem', async (args, complaint) => {
  const { code, err, out } = await onPostgres(...args);
  expect([code, out]).toEqual([1, '']);
  expect(err).toMatch(complaint);
});

test('a CURVE key pair is written to two new files, the secret one private', async () => {
  expect((await keys('curve', 'proxy', '--folder', folder)).code).toBe(0);
  expect((await stat(join(folder, 'proxy.key'))).mode & 0o777).toBe(0o600);
  expect(await readFile(join(folder, 'proxy.pub'), 'utf8')).toMatch(/^\S{40} proxy\n$/);
  expect(await readFile(join(folder, 'proxy.key'), 'utf8')).toMatch(/^\S{40}\n$/);
  const again = await keys('curve', 'proxy', '--folder', folder);
  expect(again).toMatchObject({ code: 1, err: expect.stringContaining('exists') as string });
});

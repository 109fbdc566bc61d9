import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fastify } from 'fastify';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCommand } from '../support/command.ts';
import { freePort, freePorts } from '../support/ports.ts';

const app = fastify();
const root = mkdtempSync(join(tmpdir(), 'crossfade-asked-'));
const [file, folder, absent] = ['file', 'folder', 'absent'].map((name) => join(root, name)) as [
  string,
  string,
  string,
];
let url: string;

beforeAll(async () => {
  writeFileSync(file, '');
  mkdirSync(folder);
  app.get('/v1/reports/today.html', () => 'a report');
  app.get('/v1/guard/bundles/1', () => ({}));
  url = await app.listen({ host: '127.0.0.1', port: await freePort() });
});
afterAll(async () => {
  await app.close();
  rmSync(root, { recursive: true });
});

interface Case {
  readonly args: (url: string) => readonly string[];
  readonly says: string;
}

const NO_FOLDER = 'no such file or folder';
const IS_FILE = 'it is a file, not a folder';
const IS_FOLDER = 'it is a folder, not a file';
const BACKUP = ['backup', '--service', 'session-memory'];

test.each<Case>([
  {
    args: (at) => ['report', '--format', 'html', '--url', at, '--out', join(absent, 'r.html')],
    says: `--out: cannot write ${join(absent, 'r.html')}: ${NO_FOLDER}`,
  },
  {
    args: (at) => ['report', '--format', 'html', '--url', at, '--out', folder],
    says: `--out: cannot write ${folder}: ${IS_FOLDER}`,
  },
  {
    args: (at) => ['guard', 'bundle', '1', '--url', at, '--out', folder],
    says: `--out: cannot write ${folder}: ${IS_FOLDER}`,
  },
  {
    args: () => ['guard', 'backtest', '--from', folder],
    says: `--from: cannot read ${folder}: ${IS_FOLDER}; create it with`,
  },
  {
    args: () => [...BACKUP, '--out', join(root, 'new'), '--owners', absent],
    says: `--owners: cannot read ${absent}: ${NO_FOLDER}; it must hold one owner per line`,
  },
  { args: () => [...BACKUP, '--out', file], says: `--out: cannot use ${file}: ${IS_FILE}` },
  { args: () => ['backup', 'verify', file], says: `<folder>: cannot use ${file}: ${IS_FILE}` },
  { args: () => ['start', '--config', folder], says: `${folder} is not usable:\n  - ${IS_FOLDER}` },
  {
    args: () => ['orchestrator', '--config', folder],
    says: `${folder} is not usable:\n  - ${IS_FOLDER}`,
  },
  {
    args: () => ['orchestrator', 'keys', 'list', '--folder', file],
    says: `storage.folder (--folder): cannot use ${file}: ${IS_FILE}`,
  },
  {
    args: () => ['orchestrator', 'keys', 'curve', 'ann', '--folder', absent],
    says: `--folder: cannot write ${join(absent, 'ann.key')}: ${NO_FOLDER}`,
  },
])('a file that cannot be used is named with its option: $says', async ({ args, says }) => {
  const { code, stdout, stderr } = await runCommand(args(url));
  expect([code, stdout, stderr]).toEqual([1, '', expect.stringContaining(says)]);
});

test('a pair of keys is never overwritten; that is an error', async () => {
  const create = () => runCommand(['orchestrator', 'keys', 'curve', 'ann', '--folder', folder]);
  expect((await create()).code).toBe(0);
  expect(await create()).toMatchObject({
    code: 1,
    stderr: expect.stringContaining(`cannot write ${join(folder, 'ann.key')}: it already exists`) as string,
  });
});

test('a file of keys that is missing is named with its setting', async () => {
  const config = join(root, 'orchestrator.yaml');
  writeFileSync(config, `encryption: { keysFile: ${absent} }`);
  const [port = 0, httpPort = 0] = await freePorts(2);
  const place = ['--folder', join(root, 'data'), '--port', String(port), '--http-port', String(httpPort)];
  expect(await runCommand(['orchestrator', '--config', config, ...place])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining(`encryption.keysFile ${absent} cannot be read: ${NO_FOLDER}`) as string,
  });
});

import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import type { EndOfService } from '../../src/operator/api/ends.ts';
import { type CommandResult, resultOf, runCommand } from '../support/command.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { askOnce } from '../support/session-agent.ts';

const SERVICE = 'jarvis-memory';
const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const BY = ['--person', 'ada', '--reason', 'a test'];

const folder = mkdtempSync(join(tmpdir(), 'crossfade-scratch-'));

let deployment: Deployment;
let backups = 0;

beforeAll(async () => {
  deployment = await startDeployment({ only: [SERVICE] });
  await deployment.ask({ dualWrite: true, shadowRead: 0, readCutover: 0 });
  for (const memory of ['tea', 'coffee'])
    await askOnce(deployment.endpoints[SERVICE], { action: 'add_memory', user_id: 'ann', memory });
});

afterAll(async () => {
  await deployment?.end();
  await rm(folder, { recursive: true, force: true });
});

interface Settings {
  readonly services: Readonly<Record<string, { readonly legacy: Record<string, unknown> }>>;
}

/** Records a backup, with this command for the scratch instance. */
async function backUp(scratchCommand?: readonly string[]): Promise<CommandResult> {
  const config = join(folder, `crossfade-${(backups += 1)}.yaml`);
  const settings = parse(readFileSync(deployment.configFile, 'utf8')) as Settings;
  const legacy = settings.services[SERVICE]?.legacy;
  if (legacy !== undefined && scratchCommand !== undefined) legacy['scratchCommand'] = scratchCommand;
  writeFileSync(config, stringify(settings));
  const into = join(folder, `backup-${backups}`);
  const where = ['--backup', into, '--config', config, '--url', deployment.httpUrl];
  return runCommand(['read-only', SERVICE, ...where, ...BY]);
}

async function newest(): Promise<EndOfService['backup']> {
  const shown = await runCommand(['complete', SERVICE, '--json', '--url', deployment.httpUrl]);
  return resultOf<EndOfService>(shown).backup;
}

const standIn = (data: string): readonly string[] => [
  process.execPath,
  MAIN,
  'stand-ins',
  '--service',
  SERVICE,
  '--data',
  data,
  '--jarvis-port',
  '{port}',
];

test('every lane is read from an instance that runs on the restored file', async () => {
  expect((await backUp(standIn('{folder}'))).stderr).toBe('');
  expect(await newest()).toMatchObject({ lanes: 1, items: 2, scratch_instance: 'equal' });
});

test('without a command it is not done, and the record names the reason', async () => {
  expect((await backUp()).stderr).toBe('');
  expect(await newest()).toMatchObject({ scratch_instance: 'not_configured' });
  const shown = await runCommand(['complete', SERVICE, '--url', deployment.httpUrl]);
  expect(shown.stdout).toContain('no command starts one');
});

test('a command that starts the instance on another file is found out', async () => {
  const elsewhere = standIn(join(folder, 'empty'))
    .map((part) => `'${part}'`)
    .join(' ');
  const { code, stderr } = await backUp(['sh', '-c', `exec ${elsewhere}`, '{folder}']);
  expect({ code, stderr }).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('the scratch instance differs in 1 lanes: ann') as string,
  });
});

test('a command that fails, or names no port, says what is wrong', async () => {
  expect((await backUp(['false', '{port}', '{folder}'])).stderr).toContain('it ended with code 1');
  expect((await backUp(['/absent', '{port}', '{file}'])).stderr).toContain('legacy.scratchCommand');
  expect((await backUp(['true'])).stderr).toContain('must contain {port}, and {folder} or {file}');
});

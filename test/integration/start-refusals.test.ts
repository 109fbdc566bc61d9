import { cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startProgram } from '../support/processes.ts';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
const WITHOUT = ['DATABASE_URL', 'ORCHESTRATOR_DATABASE_URL', 'UNLEASH_URL', 'UNLEASH_API_TOKEN'];

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'crossfade-start-'));
  for (const name of ['config', 'flags'])
    cpSync(join(PROJECT, name), join(folder, name), { recursive: true });
});
afterEach(() => rmSync(folder, { recursive: true }));

const refusal = (): Promise<string> =>
  startProgram(['start'], { cwd: folder, without: WITHOUT }).then(() => 'started', String);

test('a broken flag file is reported before anything is started', async () => {
  writeFileSync(join(folder, 'flags', 'crossfade.json'), '{"features": [');
  expect(await refusal()).toMatch(
    /crossfade: the flag files in \.\/flags cannot be used: crossfade\.json: .*JSON/,
  );
  expect(existsSync(join(folder, 'data'))).toBe(false);
});

test('a file in place of the data folder is reported with a solution', async () => {
  writeFileSync(join(folder, 'data'), '');
  expect(await refusal()).toContain(
    'crossfade: the data folder ./data cannot be used: it is a file. Move it away',
  );
});

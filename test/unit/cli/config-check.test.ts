import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkConfig } from '../../../src/cli/config-check.ts';
import { loadConfig } from '../../../src/config.ts';
import { blocksOf } from '../../support/guide-examples.ts';

const FLAGS = fileURLToPath(new URL('../../../flags', import.meta.url));

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'crossfade-check-'))));
afterEach(() => rmSync(folder, { recursive: true }));

function written(text: string): string {
  const file = join(folder, 'crossfade.yaml');
  writeFileSync(file, text);
  return file;
}

const checked = (text: string) => checkConfig(written(text), {});

test('every problem is listed with its setting, value, limit and line', async () => {
  const problems = await checked(
    [
      'proxy:',
      '  deadlineMs: 5',
      'http: {port: 99999}',
      `rollout: {folder: ${FLAGS}}`,
      'services:',
      '  session-memory:',
      '    legacy:',
      '      endpoint: nowhere',
    ].join('\n'),
  );
  expect(problems.map(({ key, line }) => [key, line])).toEqual([
    ['proxy.deadlineMs', 2],
    ['http.port', 3],
    ['services.session-memory.legacy.endpoint', 8],
  ]);
  expect(problems[0]?.message).toBe('proxy.deadlineMs must be at least 100, got 5');
});

test('flag files and definitions are checked too, beside wrong settings', async () => {
  const broken = join(folder, 'flags');
  mkdirSync(broken);
  writeFileSync(join(broken, 'crossfade.json'), '{');
  const problems = await checked(
    [
      'proxy: {deadlineMs: 5}',
      'rollout:',
      `  folder: ${broken}`,
      'services:',
      '  contextul-memory: {legacy: {endpoint: "tcp://127.0.0.1:1"}}',
      '  own: {definition: ./missing.ts, legacy: {endpoint: "tcp://127.0.0.1:2"}}',
    ].join('\n'),
  );
  expect(problems).toMatchObject([
    { key: 'proxy.deadlineMs', line: 1 },
    { key: 'rollout.folder', line: 3, message: expect.stringContaining('crossfade.json') as string },
    {
      key: 'services.contextul-memory',
      line: 5,
      message: expect.stringContaining('did you mean services.contextual-memory?') as string,
    },
    { key: 'services.own.definition', line: 6 },
  ]);
});

test('a usable file has no problems, and invalid YAML is reported with its place', async () => {
  const fine = `rollout: {folder: ${FLAGS}}\nservices: {session-memory: {legacy: {endpoint: "tcp://127.0.0.1:1"}}}`;
  expect(await checked(fine)).toEqual([]);
  const [first] = await checked('a: [1');
  expect(first?.message).toMatch(/^line 1: /);
});

test('a start names the line of each wrong value', () => {
  const file = written('services:\n  s:\n    port: 0\n    legacy: {endpoint: "tcp://127.0.0.1:1"}');
  expect(() => loadConfig(file, {})).toThrow('services.s.port must be at least 1, got 0 (line 3)');
});

test('the example of the guide prints what the guide shows', async () => {
  const [file = ''] = blocksOf('settings.md', 'yaml');
  const [shown] = blocksOf('settings.md', 'text');
  const problems = await checked(`${file}rollout: {folder: ${FLAGS}}\n`);
  const lines = problems.map(({ line, message }) => `crossfade.yaml:${line ?? 0}: ${message}`);
  expect([...lines, `${problems.length} problems`, ''].join('\n')).toBe(shown);
});

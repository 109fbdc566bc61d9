import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createFlagFile, type FlagEdit } from '../../../src/rollout/flag-file.ts';
import { parseDefinitions } from '../../../src/rollout/definitions.ts';
import { rolloutPercentage } from '../../../src/rollout/evaluation.ts';

const READS = 'crossfade.session-memory.read-cutover';
const DUAL = 'crossfade.session-memory.dual-write';

const feature = (name: string, enabled: boolean, strategies: readonly object[]) => ({
  name,
  type: 'release',
  enabled,
  strategies,
  impressionData: false,
});

const share = (rollout: string) => ({
  name: 'flexibleRollout',
  parameters: { rollout, stickiness: 'sessionId', groupId: 'cutover' },
  constraints: [{ contextName: 'agent', operator: 'IN', values: ['ana'] }],
});

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'crossfade-flag-file-'));
  write([feature(READS, true, [share('10')]), feature(DUAL, true, [{ name: 'default', parameters: {} }])]);
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(features: readonly object[], name = 'crossfade.json'): void {
  writeFileSync(join(folder, name), JSON.stringify({ version: 2, features, kept: 'as it was' }));
}

const text = (): string => readFileSync(join(folder, 'crossfade.json'), 'utf8');

function asked(name: string): number {
  return rolloutPercentage(parseDefinitions(text()).features.find((one) => one.name === name));
}

const set = (name: string, wanted: number, was: number): Promise<FlagEdit> =>
  createFlagFile(folder).set({ name, share: wanted, was }, async () => undefined);

test('a share is written, and everything else stays unchanged', async () => {
  expect(await set(READS, 25, 10)).toEqual({ result: 'written', file: 'crossfade.json' });
  expect(asked(READS)).toBe(25);
  expect(JSON.parse(text())).toEqual({
    version: 2,
    kept: 'as it was',
    features: [
      feature(READS, true, [share('25')]),
      feature(DUAL, true, [{ name: 'default', parameters: {} }]),
    ],
  });
  expect(readdirSync(folder)).toEqual(['crossfade.json']);
});

test('a share set to 0 moves nothing when the flag is switched on later', async () => {
  await set(READS, 0, 10);
  expect(JSON.parse(text())).toMatchObject({ features: [{ enabled: true, strategies: [share('0')] }, {}] });
});

test('a switch is turned off and on, and keeps its strategy', async () => {
  await set(DUAL, 0, 100);
  expect(asked(DUAL)).toBe(0);
  await set(DUAL, 100, 0);
  expect(asked(DUAL)).toBe(100);
});

test('a flag without a single share must be edited by a person', async () => {
  expect(await set(DUAL, 50, 100)).toMatchObject({ result: 'not_simple' });
  write([feature(READS, true, [share('10'), share('20')])]);
  expect(await set(READS, 25, 20)).toMatchObject({ result: 'not_simple' });
  write([feature(READS, true, [{ name: 'userWithId', parameters: { userIds: 'ana' } }])]);
  expect(await set(READS, 25, 1)).toMatchObject({ result: 'not_simple' });
});

test('a concurrently changed flag is kept, and an unknown one reported', async () => {
  const before = text();
  expect(await set(READS, 25, 11)).toEqual({ result: 'changed_meanwhile', asks: 10 });
  expect(await set('crossfade.nobody.read-cutover', 25, 0)).toEqual({ result: 'unknown_flag' });
  expect(text()).toBe(before);
});

test('nothing is written if it cannot be audited', async () => {
  const before = text();
  const wish = { name: READS, share: 25, was: 10 };
  const file = createFlagFile(folder);
  await expect(file.set(wish, () => Promise.reject(new Error('the journal is away')))).rejects.toThrow(
    'away',
  );
  expect(text()).toBe(before);
  expect(await file.set(wish, async () => undefined)).toMatchObject({ result: 'written' });
});

test('the second of two concurrent edits sees the first', async () => {
  const file = createFlagFile(folder);
  const [first, second] = await Promise.all(
    [30, 40].map((wanted) => file.set({ name: READS, share: wanted, was: 10 }, async () => undefined)),
  );
  expect([first?.result, second]).toEqual(['written', { result: 'changed_meanwhile', asks: 30 }]);
});

test('an unreadable file is reported with its path', async () => {
  writeFileSync(join(folder, 'crossfade.json'), '{"version": 2, "features": [,]}');
  const edit = await set(READS, 25, 10);
  expect(edit).toMatchObject({ result: 'broken_file', path: join(folder, 'crossfade.json') });
  expect(edit).toHaveProperty('why', expect.stringMatching(/JSON/));
});

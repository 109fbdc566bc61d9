import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { FlagSource } from '../../../src/rollout/flag-source.ts';
import { watchFlagChanges } from '../../../src/rollout/flag-changes.ts';
import { createOfflineFlags } from '../../../src/rollout/offline.ts';
import { eventually } from '../../support/eventually.ts';
import { cutover, definitions, feature, SERVICE } from './flag-builder.ts';

let folder: string;
let flags: FlagSource;
let told: unknown[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'crossfade-flags-'));
  told = [];
  flags = createOfflineFlags({
    folder,
    onProblem: () => told.push('problem'),
    onRecovery: () => told.push('recovery'),
  });
  watchFlagChanges(flags, [SERVICE], (changes) => told.push(changes));
  write(definitions([feature('read-cutover', { strategies: [cutover(5)] })]));
  await flags.start();
});

afterEach(async () => {
  await flags.stop();
  rmSync(folder, { recursive: true, force: true });
});

function write(text: string): void {
  writeFileSync(join(folder, 'crossfade.json.new'), text);
  renameSync(join(folder, 'crossfade.json.new'), join(folder, 'crossfade.json'));
}

const name = `crossfade.${SERVICE}.read-cutover`;

test('each change is reported with the flag’s name and both percentages', async () => {
  expect(told).toEqual([[{ flag: name, from: 0, to: 5 }]]);
  write(definitions([feature('read-cutover', { strategies: [cutover(25)] })]));
  await eventually('the change', () => told.length === 2);
  expect(told[1]).toEqual([{ flag: name, from: 5, to: 25 }]);
});

test('a broken file is reported, and its repair once', async () => {
  write('{"version": 2');
  await eventually('the problem', () => told.includes('problem'));
  write(definitions([feature('read-cutover', { strategies: [cutover(50)] })]));
  await eventually('the cure', () => told.length === 4);
  expect(told.slice(1)).toEqual(['problem', 'recovery', [{ flag: name, from: 5, to: 50 }]]);
});

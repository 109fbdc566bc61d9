import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { FlagSource } from '../../../src/rollout/flag-source.ts';
import { createOfflineFlags } from '../../../src/rollout/offline.ts';
import { definitions, feature, SERVICE, until } from './flag-builder.ts';

const ON = definitions([feature('dual-write')]);
const OFF = definitions([feature('dual-write', { enabled: false })]);

let folder: string;
let file: string;
let flags: FlagSource;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'crossfade-flags-'));
  file = join(folder, 'crossfade.json');
  writeFileSync(file, ON);
  flags = createOfflineFlags({ folder });
  await flags.start();
});

afterEach(async () => {
  await flags.stop();
  rmSync(folder, { recursive: true, force: true });
});

const isOn = (): boolean => flags.isEnabled('dual-write', { service: SERVICE }).enabled;

test('a folder with constant changes is still read', async () => {
  const writing = setInterval(() => writeFileSync(join(folder, 'notes.txt'), `${performance.now()}`), 10);
  try {
    for (let times = 0; times < 3; times += 1) {
      writeFileSync(file, OFF);
      await until(() => !isOn());
      writeFileSync(file, ON);
      await until(isOn);
    }
  } finally {
    clearInterval(writing);
  }
});

test('a file that is written a hundred times a second is never read partly', async () => {
  let looks = 0;
  let isSeenOff = false;
  const padded = (times: number): string => ON.padEnd(200_000 + times);
  const writing = setInterval(() => {
    writeFileSync(file, padded((looks += 1)));
    isSeenOff ||= !isOn();
  }, 10);
  await until(() => looks >= 100);
  clearInterval(writing);
  expect(isSeenOff).toBe(false);
  expect(flags.describe().fresh).toBe(true);
  writeFileSync(file, OFF);
  await until(() => !isOn());
});

test.each([
  [
    'a file that is far too long',
    () => truncateSync(file, 400 * 1024 * 1024),
    /the file has 419430400 bytes/,
  ],
  [
    'a pipe that nobody writes to',
    () => (rmSync(file), execFileSync('mkfifo', [file])),
    /it is not a regular file/,
  ],
  ['a folder in its place', () => (rmSync(file), mkdirSync(file)), /it is not a regular file/],
])('%s keeps the values and is reported, and the next file is read', async (_, spoil, message) => {
  spoil();
  await until(() => !flags.describe().fresh);
  expect(flags.describe().lastError).toMatch(message);
  expect(isOn()).toBe(true);

  rmSync(file, { recursive: true });
  writeFileSync(file, OFF);
  await until(() => flags.describe().fresh);
  expect(isOn()).toBe(false);
});

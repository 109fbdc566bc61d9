import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createFlagFile } from '../../../src/rollout/flag-file.ts';
import type { FlagSource } from '../../../src/rollout/flag-source.ts';
import { createOfflineFlags } from '../../../src/rollout/offline.ts';
import { cutover, definitions, feature, SERVICE, until } from './flag-builder.ts';

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

const READS = `crossfade.${SERVICE}.read-cutover`;
const SHARE = 'must be a number from 0 to 100, got';
const withRollout = (rollout: unknown) => ({ ...cutover(0), parameters: { rollout } });

test.each([
  ['abc', withRollout('abc'), `rollout ${SHARE} "abc"`],
  ['150', withRollout('150'), `rollout ${SHARE} "150"`],
  ['the number 150', withRollout(150), `rollout ${SHARE} 150`],
  ['-1', withRollout('-1'), `rollout ${SHARE} "-1"`],
  ['an empty text', withRollout(''), `rollout ${SHARE} ""`],
  ['1e1', withRollout('1e1'), `rollout ${SHARE} "1e1"`],
  ['nothing', withRollout(undefined), `rollout ${SHARE} nothing`],
  ['a list', withRollout([50]), `rollout ${SHARE} [50]`],
  [
    'a percentage of 101',
    { name: 'gradualRolloutUserId', parameters: { percentage: '101' } },
    `percentage ${SHARE} "101"`,
  ],
  [
    'a misspelled strategy',
    { name: 'flexibleRolout', parameters: { rollout: '5' } },
    'the strategy must be one of default, flexibleRollout, gradualRolloutRandom, gradualRolloutSessionId, gradualRolloutUserId, userWithId, remoteAddress, applicationHostname, got "flexibleRolout"',
  ],
])('a share that is %s is refused with its file and flag', async (_, strategy, problem) => {
  writeFileSync(
    join(folder, 'reads.json'),
    definitions([feature('read-cutover', { strategies: [strategy] })]),
  );
  await until(() => flags.describe().lastError === `reads.json: ${READS}: ${problem}`);
  expect(flags.describe().fresh).toBe(false);
  const again = createOfflineFlags({ folder });
  await expect(again.start()).rejects.toThrow(
    `the flag files in ${folder} cannot be used: reads.json: ${READS}: ${problem}`,
  );
});

test('a wrong share keeps the last one, and a change waits until the file is fixed', async () => {
  const reads = join(folder, 'reads.json');
  writeFileSync(reads, definitions([feature('read-cutover', { strategies: [cutover(25)] })]));
  await until(() => flags.percentage('read-cutover', SERVICE) === 25);
  writeFileSync(reads, definitions([feature('read-cutover', { strategies: [withRollout('250')] })]));
  await until(() => !flags.describe().fresh);
  expect(flags.percentage('read-cutover', SERVICE)).toBe(25);
  const wish = { name: READS, share: 50, was: 25 };
  expect(await createFlagFile(folder).set(wish, async () => undefined)).toEqual({
    result: 'broken_file',
    path: reads,
    why: `${READS}: rollout ${SHARE} "250"`,
  });
});

test('a wrong share does not hold back the kill switch', async () => {
  const wrong = feature('read-cutover', { strategies: [withRollout('250')] });
  const kill = { name: 'crossfade.kill-switch', enabled: false, strategies: [{ name: 'default' }] };
  writeFileSync(file, definitions([wrong, kill, feature('dual-write')]));
  await until(() => !flags.describe().fresh);
  expect([isOn(), flags.percentage('read-cutover', SERVICE)]).toEqual([true, 0]);
  const wish = { name: 'crossfade.kill-switch', share: 100, was: 0 };
  expect(await createFlagFile(folder).set(wish, async () => undefined)).toMatchObject({ result: 'written' });
  await until(() => flags.killSwitch());
  expect(flags.describe().lastError).toBe(`crossfade.json: ${READS}: rollout ${SHARE} "250"`);
});

test('a flag with a wrong share can be switched off in the file', async () => {
  const reads = join(folder, 'reads.json');
  const written = (enabled: boolean, strategy: object) =>
    writeFileSync(reads, definitions([feature('read-cutover', { enabled, strategies: [strategy] })]));
  written(true, cutover(25));
  await until(() => flags.percentage('read-cutover', SERVICE) === 25);
  written(false, withRollout('250'));
  await until(() => flags.percentage('read-cutover', SERVICE) === 0);
  expect(flags.describe().lastError).toBe(`reads.json: ${READS}: rollout ${SHARE} "250"`);
});

test('a share of another application is not judged', async () => {
  const other = { ...feature('read-cutover', { strategies: [withRollout('abc')] }), name: 'another.app' };
  writeFileSync(join(folder, 'other.json'), definitions([other]));
  await until(() => flags.names().includes('another.app'));
  expect(flags.describe().fresh).toBe(true);
});

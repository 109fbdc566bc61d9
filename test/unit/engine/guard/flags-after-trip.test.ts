import { afterEach, beforeEach, expect, test } from 'vitest';
import { replicaId } from '../../../../src/domain/ids.ts';
import type { Finding } from '../../../../src/engine/ports/finding.ts';
import { FlagsAfterTrip } from '../../../../src/engine/guard/flags-after-trip.ts';
import { Latches } from '../../../../src/engine/guard/latches.ts';
import { eventually } from '../../../support/eventually.ts';
import { SERVICE } from '../engine-parts.ts';

const HERE = replicaId('here');
const FINDING: Finding = { service: SERVICE, trigger: 'external', steps: ['reads_to_legacy'], numbers: {} };
const LATCH = {
  id: 7,
  service: SERVICE,
  finding: FINDING,
  replica: HERE,
  trippedAtMs: 0,
  coolDownUntilMs: 0,
};

let switched: string[];
let asked: number;
/** What the database says of the latch. */
let isDue: () => Promise<boolean>;
let written: (readonly string[])[];
let flagsAfterTrip: FlagsAfterTrip;

beforeEach(() => {
  [switched, asked, written] = [[], 0, []];
  isDue = async () => true;
  const clock = {
    now: () => performance.now(),
    wallMs: () => Date.now(),
    sleep: () => new Promise<void>((resolve) => setImmediate(resolve)),
  };
  const board = new Latches(clock);
  // As this replica's last look at the database showed it.
  board.adopt([LATCH], board.asking());
  flagsAfterTrip = new FlagsAfterTrip({
    replica: HERE,
    services: [SERVICE],
    board,
    clock,
    emit: () => undefined,
    latches: {
      areFlagsDue: () => ((asked += 1), isDue()),
      flagsAreOff: async (_, { flags }) => void written.push(flags),
    },
    flagSwitch: {
      async off(_, isStillDue) {
        for (const flag of ['read', 'write']) if (await isStillDue()) switched.push(flag);
        return switched;
      },
      stop: () => undefined,
    },
  });
});

afterEach(() => flagsAfterTrip.stop());

test('after a trip its flags are switched off, and that is stored', async () => {
  await flagsAfterTrip.start();
  await eventually('the flags are off', () => written.length === 1);
  expect(written).toEqual([['read', 'write']]);
});

test('after an unseen release, flags that a person has raised again stay on', async () => {
  isDue = async () => false;
  await flagsAfterTrip.start();
  await eventually('it has asked', () => asked > 3);
  expect(switched).toEqual([]);
  expect(written).toEqual([]);
});

test('a release in the middle keeps the flags that are not switched off yet', async () => {
  isDue = async () => asked < 3;
  await flagsAfterTrip.start();
  await eventually('the rest is written down', () => written.length === 1);
  expect(switched).toEqual(['read']);
});

test('flags are switched off even while the database is away', async () => {
  isDue = async () => Promise.reject(new Error('away'));
  await flagsAfterTrip.start();
  await eventually('the flags are off', () => switched.length === 2);
});

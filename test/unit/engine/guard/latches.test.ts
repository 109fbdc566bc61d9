import { beforeEach, describe, expect, test } from 'vitest';
import { replicaId } from '../../../../src/domain/ids.ts';
import type { Finding, Latch } from '../../../../src/engine/ports/finding.ts';
import { Latches } from '../../../../src/engine/guard/latches.ts';
import { SERVICE } from '../engine-parts.ts';

const FINDING: Finding = {
  service: SERVICE,
  trigger: 'external',
  steps: ['reads_to_legacy'],
  numbers: {},
};
const LATCH: Latch = {
  id: 1,
  service: SERVICE,
  finding: FINDING,
  replica: replicaId('here'),
  trippedAtMs: 0,
  coolDownUntilMs: 0,
};
const BLIND_AFTER_MS = 5_000;

let nowMs: number;
let board: Latches;

beforeEach(() => {
  nowMs = 1_000;
  board = new Latches({ now: () => nowMs, wallMs: () => nowMs, sleep: async () => undefined });
});

const cause = () => board.holdOf(SERVICE)?.cause;

describe('an answer of the database', () => {
  test('to a query from before a latch was stored leaves the latch', () => {
    const asked = board.asking();
    board.trip(FINDING);
    board.written(LATCH);
    board.adopt([], asked);
    expect(cause()).toBe('external');
    board.adopt([], board.asking());
    expect(cause()).toBeUndefined();
  });

  test('to a query older than an answered one is ignored', () => {
    const [older, newer] = [board.asking(), board.asking()];
    expect(board.adopt([LATCH], newer)).toBe(true);
    expect(board.adopt([], older)).toBe(false);
    expect(cause()).toBe('external');
  });
});

describe('a replica without answers of the database', () => {
  test('stops its reads 5 s after its last answered query, not later', () => {
    board.adopt([], board.asking());
    nowMs += BLIND_AFTER_MS;
    expect(cause()).toBeUndefined();
    nowMs += 1;
    expect(cause()).toBe('database_lost');
  });

  test('counts from the query: an answer that took 4 s is 4 s old', () => {
    const asked = board.asking();
    nowMs += 4_000;
    board.adopt([], asked);
    expect(cause()).toBeUndefined();
    nowMs += 1_001;
    expect(cause()).toBe('database_lost');
  });

  test('stops its reads before its first answer', () => {
    expect(cause()).toBe('database_lost');
  });
});

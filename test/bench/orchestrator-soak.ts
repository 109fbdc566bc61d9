import { readFileSync } from 'node:fs';
import { createProgressBar } from '../support/progress.ts';
import type { Child } from './child.ts';
import type { OrchestratorJob } from './orchestrator-load.ts';
import type { OrchestratorWorld } from './orchestrator-world.ts';
import { rounded, type Sample } from './samples.ts';

/** What the memory of the orchestrator did under mixed load, after the warm-up. */
export interface Soak {
  readonly minutes: number;
  /** The straight line through all readings, from its begin to its end, as a share of where it begins. */
  readonly growthPercent: number;
  readonly slopeMbPerMinute: number;
  readonly firstMb: number;
  readonly lastMb: number;
  /** The mean of the readings of each minute, MiB. */
  readonly mbByMinute: readonly number[];
  readonly operationsPerSecond: number;
  readonly errors: number;
}

const CLIENTS = 16;
const SLICE_SECONDS = 5;
// Until caches, the young generation and the database's buffers have their size.
const WARM_UP_MINUTES = 3;
// The purge runs every minute: what the store holds stops growing during the warm-up.
const TTL_SECONDS = 30;

interface Reading {
  readonly minute: number;
  readonly mb: number;
}

/** Loads the orchestrator for so many minutes after a warm-up, and reads its resident size between two slices of load. */
export async function soak(
  { load, world, items }: { load: Child; world: OrchestratorWorld; items: number },
  minutes: number,
): Promise<Soak> {
  const readings: Reading[] = [];
  const samples: Sample[] = [];
  const total = WARM_UP_MINUTES + minutes;
  const bar = createProgressBar(Math.round(total * 60));
  const startedAtMs = performance.now();
  for (let slice = 0, minute = 0; minute < total; slice += 1) {
    const job: OrchestratorJob = {
      endpoint: world.endpoints.orchestrator,
      operation: 'mixed',
      clients: CLIENTS,
      items,
      seed: 1_000_000 + slice,
      ttl: TTL_SECONDS,
      warmUpMs: 0,
      seconds: SLICE_SECONDS,
    };
    const sample = await load.ask<Sample>(job);
    minute = (performance.now() - startedAtMs) / 60_000;
    bar.show(Math.min(Math.round(minute * 60), Math.round(total * 60)), 'seconds under load');
    if (minute <= WARM_UP_MINUTES) continue;
    samples.push(sample);
    readings.push({ minute, mb: residentMegabytes(world.orchestrator.pid) });
  }
  bar.end();
  const errors = samples.reduce((sum, sample) => sum + sample.errors, 0);
  const operations = samples.reduce((sum, sample) => sum + sample.operations, 0);
  return {
    minutes,
    ...trendOf(readings),
    errors,
    operationsPerSecond: rounded(operations / minutes / 60, 0),
  };
}

function trendOf(readings: readonly Reading[]) {
  const mean = (of: (reading: Reading) => number): number =>
    readings.reduce((sum, reading) => sum + of(reading), 0) / readings.length;
  const [middle, level] = [mean(({ minute }) => minute), mean(({ mb }) => mb)];
  const slope =
    mean(({ minute, mb }) => (minute - middle) * (mb - level)) / mean(({ minute }) => (minute - middle) ** 2);
  const span = (readings.at(-1)?.minute ?? 0) - (readings[0]?.minute ?? 0);
  const begin = level - (slope * span) / 2;
  return {
    growthPercent: rounded((100 * slope * span) / begin, 2),
    slopeMbPerMinute: rounded(slope),
    firstMb: readings[0]?.mb ?? 0,
    lastMb: readings.at(-1)?.mb ?? 0,
    mbByMinute: byMinute(readings),
  };
}

function byMinute(readings: readonly Reading[]): number[] {
  const minutes = Map.groupBy(readings, ({ minute }) => Math.floor(minute));
  return [...minutes.values()].map((of) => Math.round(of.reduce((sum, { mb }) => sum + mb, 0) / of.length));
}

function residentMegabytes(pid: number): number {
  const line = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Math.round(Number(line?.[1] ?? 0) / 1_024);
}

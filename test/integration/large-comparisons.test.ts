import { afterEach, expect, test } from 'vitest';
import { compareReplies } from '../../src/engine/compare/compare-replies.ts';
import { LargeComparisons } from '../../src/compose/large-comparisons.ts';

const large = new LargeComparisons();
afterEach(() => large.stop());

const reply = (count: number, change: (at: number) => number = (at) => at): string =>
  JSON.stringify({ context: Array.from({ length: count }, (_, at) => ({ text: `note ${change(at)}`, at })) });

const RULES = [{ kind: 'ignore', path: 'context[].at', owner: 'test', reason: 'test' }] as const;

test('a mebibyte is compared in a worker thread, by the same rules', async () => {
  const legacy = reply(40_000);
  expect(legacy.length).toBeGreaterThan(1024 * 1024);
  const [same, other] = await Promise.all([
    large.compare({ legacy, orchestrator: legacy.replace('"at":7}', '"at":8}'), rules: RULES }),
    large.compare({ legacy, orchestrator: reply(40_000, (at) => (at === 9 ? -1 : at)), rules: RULES }),
  ]);
  expect(same).toMatchObject({ comparison: { verdict: 'match', suppressed: 1 }, accepted: [0] });
  expect(other.comparison.differences).toMatchObject([{ path: 'context[].text', class: 'value' }]);
});

test('the event loop continues during the comparison', async () => {
  const legacy = reply(40_000);
  const orchestrator = reply(40_000, (at) => 40_000 - at);
  await large.compare({ legacy: '1', orchestrator: '2', rules: [] });
  const cpuMs = (): number => {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1_000;
  };
  const startedAtCpuMs = cpuMs();
  compareReplies({ legacy, orchestrator, rules: [] });
  const hereMs = cpuMs() - startedAtCpuMs;
  const turnsMs: number[] = [];
  let before = cpuMs();
  const timer = setInterval(() => {
    turnsMs.push(cpuMs() - before);
    before = cpuMs();
  }, 5);
  await large.compare({ legacy, orchestrator, rules: [] });
  clearInterval(timer);
  // Comparing these here takes a few hundred milliseconds of a processor; this thread hands them over and waits.
  expect(turnsMs.length).toBeGreaterThan(5);
  expect(Math.max(...turnsMs)).toBeLessThan(hereMs / 5);
});

test('a reply that is too large for a thread does not stop the next comparison', async () => {
  const nested = '['.repeat(2_000_000);
  const closed = ']'.repeat(2_000_000);
  const judgement = await large.compare({
    legacy: `${nested}1${closed}`,
    orchestrator: `${nested}2${closed}`,
    rules: [],
  });
  expect(judgement.comparison).toMatchObject({ verdict: 'not_comparable', reason: 'too_large' });
  expect((await large.compare({ legacy: '1', orchestrator: '2', rules: [] })).comparison.verdict).toBe(
    'mismatch',
  );
});

test('stopping answers what waits', async () => {
  const waiting = large.compare({
    legacy: reply(60_000),
    orchestrator: reply(60_000, (at) => -at),
    rules: [],
  });
  await large.stop();
  expect((await waiting).comparison.reason).toBe('too_large');
});

import { expect, test } from 'vitest';
import { serviceName } from '../../../src/domain/ids.ts';
import type { InterlockFacts } from '../../../src/engine/guard/interlock-facts.ts';
import { judgeFlags, NOTHING_GRANTED } from '../../../src/engine/guard/judge-flags.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { actionWith, fineFacts } from '../engine/guard/facts.ts';

const SERVICE = serviceName('session-memory');

async function scraped(more: Partial<InterlockFacts>): Promise<string[]> {
  const verdict = judgeFlags(fineFacts(more), NOTHING_GRANTED);
  const metrics = createMetrics({
    gauges: () => ({
      pendingDeliveries: 0,
      copiesWaiting: 0,
      shadowReadsWaiting: 0,
      lanes: new Map(),
      guarded: new Map([[SERVICE, { isLatched: false, isFlagsOffWaiting: false, verdict }]]),
    }),
    ab: () => [],
    flags: () => ({ fresh: true, requests: [] }),
    reports: () => ({ lastMadeAtMs: undefined, failedDeliveries: new Map() }),
    spill: () => undefined,
  });
  const text = await metrics.render();
  await metrics.stop();
  return text.split('\n').filter((line) => /^crossfade_(interlock|flag)/.test(line));
}

const OF = 'service="session-memory",flag="read-cutover"';

test('each interlock that lowers a flag is a label', async () => {
  const actions = { get_context: actionWith(12), search: actionWith(0), stats: actionWith(3_000) };
  const lines = await scraped({ reconciledAgoSeconds: null, actions });
  expect(lines).toContain(`crossfade_interlock_reasons{${OF},reason="never_reconciled"} 1`);
  expect(lines).toContain(`crossfade_interlock_reasons{${OF},reason="too_few_comparisons"} 2`);
  expect(lines.filter((line) => line.includes('interlock_reasons') && !line.includes('reason='))).toEqual([]);
});

test('a flag that moves no action is not active', async () => {
  expect(await scraped({ actions: { get_context: actionWith(0) } })).toContain(
    `crossfade_flag_percentage{${OF},stand="in_effect"} 0`,
  );
  expect(await scraped({})).toContain(`crossfade_flag_percentage{${OF},stand="in_effect"} 50`);
});

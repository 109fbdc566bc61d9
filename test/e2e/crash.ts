import type { CrashCase } from './crash-stage.ts';
import { findingsOf, runAll, type LaneWork } from './crash-workload.ts';
import type { WatchedProxy } from './watched-proxy.ts';

/** A reply that had left before the kill arrives within this time. */
const ON_ITS_WAY_MS = 50;

const NEVER = new Promise<'unanswered'>(() => undefined);

/** Agents that are answered for as long as it takes. */
export function agentsRun(one: CrashCase, works: readonly LaneWork[], round: number): Promise<void> {
  return runAll(works, one.endpoints, { round, lost: NEVER });
}

/** Between two rounds of an agent, so that its lane is sometimes quiet. */
const ROUND_PAUSE_MS = 40;

/** Agents that write until no reply can come any more. */
export async function agentsWriteOn(
  one: CrashCase,
  works: readonly LaneWork[],
  lost: Promise<'unanswered'>,
): Promise<void> {
  const writeOn = async (work: LaneWork): Promise<void> => {
    for (let round = 1; work.done.at(-1)?.certainty !== 'unanswered'; round += 1) {
      await work.run(one.endpoints, { round, lost });
      await new Promise((resolve) => setTimeout(resolve, ROUND_PAUSE_MS));
    }
  };
  await Promise.all(works.map(writeOn));
}

/** Lets agents write until the proxy has come to a step, kills it there, and waits for what they still hear of it. */
export async function killAt(
  proxy: WatchedProxy,
  step: { readonly name: string; readonly count?: number },
  agents: (lost: Promise<'unanswered'>) => Promise<void>,
): Promise<void> {
  let lose: (certainty: 'unanswered') => void = () => undefined;
  const lost = new Promise<'unanswered'>((resolve) => {
    lose = resolve;
  });
  const work = agents(lost);
  await proxy.events.seen(step.name, step.count);
  await proxy.kill();
  await new Promise((resolve) => setTimeout(resolve, ON_ITS_WAY_MS));
  lose('unanswered');
  await work;
}

export function acknowledgedIn(works: readonly LaneWork[]): number {
  return works.reduce((total, { acknowledged }) => total + acknowledged, 0);
}

/** Writes that were answered with an error. */
export function failedIn(works: readonly LaneWork[]): number {
  const failed = works.flatMap(({ done }) => done).filter(({ certainty }) => isFailure(certainty));
  return failed.length;
}

function isFailure(certainty: LaneWork['done'][number]['certainty']): boolean {
  return certainty === 'refused' || certainty === 'unknown';
}

/** A new proxy on the same journal, new agents who write on, and what is wrong with the stores before and after that. */
export async function takeUp(one: CrashCase, works: readonly LaneWork[]): Promise<string[]> {
  await one.startProxy();
  await one.settled();
  const findings = findingsOf(works, await one.stores());
  const before = acknowledgedIn(works);
  await agentsRun(one, works, 2);
  await one.settled();
  const written = acknowledgedIn(works) - before;
  if (written < works.length * 5) findings.push(`only ${written} writes were acknowledged after the restart`);
  return [...findings, ...findingsOf(works, await one.stores())];
}

import { setTimeout as sleep } from 'node:timers/promises';
import { ReplayingAgent } from '../accept/agents.ts';
import type { Dialogue } from '../accept/dialogues.ts';
import { Ledger } from '../accept/ledger.ts';
import { createProgressBar } from '../support/progress.ts';
import type { ClassRun } from './verdict-judge.ts';
import type { VerdictWatch } from './verdict-watch.ts';
import type { VerdictWorld } from './verdict-world.ts';

export const CLEAN = 'clean';

export interface CleanPlan {
  readonly world: VerdictWorld;
  readonly watch: VerdictWatch;
  readonly dialogues: readonly Dialogue[];
  readonly seed: number;
  /** Comparisons that are to be seen. */
  readonly operations: number;
  /** The guard has looked at everything after so long. */
  readonly looksMs: number;
}

const AGENTS = 16;
/** Dialogues of an agent between two looks at the guard. */
const ROUND_DIALOGUES = 4;
const ASK_EVERY_MS = 1_000;
/** The guard drops shadow load for as long as a slow minute is among its last five. */
const STALLED_MS = 8 * 60_000;
/** Error messages that are shown; the others are only counted. */
const SHOWN_ERRORS = 3;

/** Sixteen agents write and read at the same time, and nothing is broken: whatever differs is a false alarm. */
export async function runClean(plan: CleanPlan): Promise<ClassRun> {
  const { watch, operations, looksMs } = plan;
  const before = { ...watch.totals };
  const compared = (): number => watch.totals.match + watch.totals.mismatch - before.match - before.mismatch;
  const rounds = new CleanRounds(plan);
  const bar = createProgressBar(operations);
  let last = { compared: 0, atMs: performance.now() };
  while (compared() < operations) {
    await rounds.next(() => bar.show(compared(), `${CLEAN}, ${rounds.failedCalls} errors`));
    if (compared() > last.compared) last = { compared: compared(), atMs: performance.now() };
    if (performance.now() - last.atMs > STALLED_MS)
      throw new Error(`Nothing was compared for ${STALLED_MS / 60_000} minutes: ${rounds.trouble}`);
  }
  await sleep(looksMs);
  bar.end();
  // On a machine that is busy with other things calls come late, and the proxy refuses what it cannot send in time.
  for (const error of rounds.errors) console.error(error);
  await showAlarms(plan);
  const alarms = watch.totals.mismatch - before.mismatch;
  const cases = Array.from({ length: compared() }, (_, index) => ({
    isInjected: false,
    isDetected: index < alarms,
    askedAtSeconds: 0,
    concludedAtSeconds: 0,
  }));
  const { failedCalls } = rounds;
  const notCompared = Object.fromEntries([...watch.notCompared].toSorted(([, a], [, b]) => b - a));
  return { name: CLEAN, truth: 'none', cases, tripped: watch.tripped.size > 0, failedCalls, notCompared };
}

/** What is known of each false alarm that was kept: nobody who only sees their number can find their cause. */
async function showAlarms({ watch, world }: CleanPlan): Promise<void> {
  for (const { service, action, lane, operationId, comparison } of watch.alarms) {
    const response = await fetch(`${world.httpUrl}/v1/explain/${service}/${operationId}`);
    const differences = JSON.stringify(comparison.differences);
    console.error(`False alarm: ${lane} ${action} ${operationId} ${differences}\n${await response.text()}`);
  }
}

interface GuardAnswer {
  readonly services: Readonly<
    Record<
      string,
      { readonly findings: readonly { readonly trigger: string; readonly steps: readonly string[] }[] }
    >
  >;
}

/** Replays dialogues round by round, by agents that are made anew: one that missed a reply fails for ever, at once. */
export class CleanRounds {
  readonly errors: string[] = [];
  failedCalls = 0;
  /** Why shadow load is dropped; empty where it is not. */
  trouble = '';
  readonly #plan: CleanPlan;
  #agents = AGENTS;
  #dialogue = 0;

  constructor(plan: CleanPlan) {
    this.#plan = plan;
  }

  /** While the guard drops shadow load, agents rest: more of the same would keep it dropped. After that there are half as many. */
  async next(onDialogue: () => void): Promise<void> {
    const wasDropped = this.trouble !== '';
    this.trouble = await this.#shadowDroppedFor();
    if (this.trouble !== '') {
      await sleep(ASK_EVERY_MS);
      return;
    }
    if (wasDropped) this.#agents = Math.max(1, this.#agents / 2);
    await Promise.all(Array.from({ length: this.#agents }, () => this.#replay(onDialogue)));
  }

  async #replay(onDialogue: () => void): Promise<void> {
    const { world, dialogues, seed } = this.#plan;
    const ledger = new Ledger();
    const agent = new ReplayingAgent(world.agents, ledger);
    for (let done = 0; done < ROUND_DIALOGUES && ledger.agentErrors.length === 0; done += 1) {
      const index = this.#dialogue++;
      const dialogue = dialogues[index % dialogues.length];
      if (dialogue !== undefined)
        await agent.replay({ ...dialogue, id: `${dialogue.id}-${seed}-${index}` }, index);
      onDialogue();
    }
    agent.close();
    this.failedCalls += ledger.agentErrors.length;
    this.errors.push(...ledger.agentErrors.slice(0, SHOWN_ERRORS - this.errors.length));
  }

  async #shadowDroppedFor(): Promise<string> {
    const { services } = (await (await fetch(`${this.#plan.world.httpUrl}/v1/guard`)).json()) as GuardAnswer;
    return Object.entries(services)
      .flatMap(([service, { findings }]) =>
        findings
          .filter(({ steps }) => steps.includes('drop_shadow_load'))
          .map(({ trigger }) => `the guard drops shadow load of ${service} for ${trigger}`),
      )
      .join(', ');
  }
}

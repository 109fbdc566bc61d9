import { type SessionId, sessionIdOf, type Owner } from '../../domain/ids.ts';
import type { OrchestratorWrite } from '../../domain/orchestrator-call.ts';
import type { LaneDefinition, LegacyItem } from '../../domain/service-definition.ts';
import type { Clock, Orchestrator, OrchestratorOptions } from '../ports/ports.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';
import { callsOf } from './copy-calls.ts';
import { pairItems, type ItemPair, type ListedMemory } from '../items/copy-plan.ts';
import { readContents } from '../items/lane-contents.ts';

interface Retimed {
  readonly lanes: LaneDefinition;
  readonly sessionId: SessionId;
}

/**
 * The writes by which delivered items take over the times that legacy gave them. Each has an effect only on the version of its item
 * that was seen.
 */
export function retimesOf(pairs: readonly ItemPair[], { lanes, sessionId }: Retimed): OrchestratorWrite[] {
  return pairs.flatMap(({ memory, item }): OrchestratorWrite[] => {
    const payload = lanes.retime?.(memory, item);
    if (payload === undefined) return [];
    const { memory_id, version: if_version } = memory;
    return [
      { action: 'update', sessionId, payload: { ...payload, memory_id, if_version, suppress_events: true } },
    ];
  });
}

/** Whether a write of a copy only gives an item the time of legacy. */
export function isRetime({ action, payload }: OrchestratorWrite): boolean {
  return action === 'update' && payload['created_at'] !== undefined;
}

/** A lane that was found to hold the same on both sides. */
interface LookedAtLane {
  readonly service: ServiceRuntime;
  readonly owner: Owner;
  /** What legacy showed. */
  readonly items: readonly LegacyItem[];
}

export interface LegacyTimesParts {
  readonly orchestrator: Orchestrator;
  readonly clock: Clock;
  /** Most that one call may take, milliseconds. */
  readonly timeoutMs: number;
}

/** Gives delivered items the times of legacy after a comparison. What fails is taken over by the next look at the lane. */
export class LegacyTimes {
  readonly #parts: LegacyTimesParts;

  constructor(parts: LegacyTimesParts) {
    this.#parts = parts;
  }

  /** Never rejects. */
  async takeOver(lane: LookedAtLane, listed?: readonly ListedMemory[]): Promise<void> {
    const { lanes } = lane.service.definition;
    if (lanes.retime === undefined) return;
    const sessionId = sessionIdOf(lanes.sessionPrefix, lane.owner);
    try {
      const existing = listed ?? (await this.#listed({ lanes, sessionId }));
      const retimes = retimesOf(pairItems({ source: lane.items, existing }), { lanes, sessionId });
      await this.#write(retimes);
    } catch {
      // The orchestrator did not answer, or an item has changed since.
    }
  }

  async #listed(session: Retimed): Promise<readonly ListedMemory[]> {
    const { orchestrator } = this.#parts;
    return (await readContents({ ...session, orchestrator, options: () => this.#options() })).listed;
  }

  /** Without the lane's fence, which lets only deliveries and copies pass: the version of each item stands in for it. */
  async #write(retimes: readonly OrchestratorWrite[]): Promise<void> {
    const versioned = retimes.filter(({ payload }) => payload['if_version'] !== undefined);
    if (versioned.length === 0) return;
    for (const call of callsOf(versioned)) await this.#parts.orchestrator.batchWrite(call, this.#options());
  }

  #options(): OrchestratorOptions {
    const { clock, timeoutMs } = this.#parts;
    return { purpose: 'probe', deadlineAtMs: clock.now() + timeoutMs };
  }
}

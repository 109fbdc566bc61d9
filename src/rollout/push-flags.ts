import { messageOf } from '../domain/errors.ts';
import type { FlagBlueprint } from './flag-blueprint.ts';
import type { StandingFlag, UnleashAdmin } from './unleash-admin.ts';
import { UnleashError, type UnleashResult } from './unleash-answer.ts';

/** What became of one flag. `completed`: it stood without a strategy, off, and has one now. */
export interface PushedFlag {
  readonly flag: string;
  readonly result: 'created' | 'completed' | 'kept' | 'failed';
  /** What it asks for after the push, percent; absent where it failed. */
  readonly asks?: number;
  /** What a person should know: why it failed, or what is odd about a flag that was kept. */
  readonly note?: string;
}

/** After one of these, every further flag would end the same way. */
const HOPELESS: ReadonlySet<UnleashResult> = new Set(['unauthorized', 'forbidden', 'unreachable', 'timeout']);

export interface PushOptions {
  /** Looks only. */
  readonly isDryRun: boolean;
  /** Told of each flag when it is done. */
  readonly onPushed?: (pushed: PushedFlag) => void;
}

/**
 * Makes the flags that are missing, so that they ask for nothing. What is there already is neither lowered nor raised: not its switch,
 * not its strategies. Safe to repeat, also after a push that ended in its middle.
 * @throws UnleashError where going on is pointless: a token that is not accepted, a server that is not there
 */
export async function pushFlags(
  admin: UnleashAdmin,
  blueprints: readonly FlagBlueprint[],
  { isDryRun, onPushed }: PushOptions,
): Promise<readonly PushedFlag[]> {
  const pushed: PushedFlag[] = [];
  for (const blueprint of blueprints) {
    const one = await pushOne(admin, blueprint, isDryRun);
    onPushed?.(one);
    pushed.push(one);
  }
  return pushed;
}

async function pushOne(
  admin: UnleashAdmin,
  blueprint: FlagBlueprint,
  isDryRun: boolean,
): Promise<PushedFlag> {
  const flag = blueprint.name;
  try {
    const standing = await admin.find(flag);
    if (standing === undefined) {
      const isOurs = isDryRun || (await make(admin, blueprint));
      return { flag, result: isOurs ? 'created' : 'kept', asks: 0 };
    }
    // Switched on it would ask for everything: Unleash gives a flag without a strategy one for everybody.
    if (standing.strategies === 0 && !standing.enabled) {
      if (!isDryRun) await complete(admin, blueprint);
      return { flag, result: 'completed', asks: 0 };
    }
    return kept(blueprint, standing);
  } catch (error) {
    if (error instanceof UnleashError && HOPELESS.has(error.result)) throw error;
    return { flag, result: 'failed', note: messageOf(error) };
  }
}

/** False where somebody else made it at this moment, and completes it. */
async function make(admin: UnleashAdmin, blueprint: FlagBlueprint): Promise<boolean> {
  try {
    await admin.create(blueprint);
  } catch (error) {
    const isTaken = error instanceof UnleashError && error.result === 'conflict';
    // The name may also be taken by an archived flag, or by another project's.
    if (isTaken && (await admin.find(blueprint.name)) !== undefined) return false;
    throw error;
  }
  await complete(admin, blueprint);
  return true;
}

async function complete(admin: UnleashAdmin, blueprint: FlagBlueprint): Promise<void> {
  await admin.addStrategy(blueprint.name, blueprint);
  if (blueprint.enabled) await admin.switchOn(blueprint.name);
}

/** The flags whose group decides which lanes move first. */
const CUTOVER = /\.(?:read|write)-cutover$/;

function kept(blueprint: FlagBlueprint, standing: StandingFlag): PushedFlag {
  const { enabled, share } = standing;
  const note = oddGroup(blueprint, standing) ?? oddSwitch(blueprint, standing);
  return {
    flag: blueprint.name,
    result: 'kept',
    asks: enabled ? share : 0,
    ...(note !== undefined && { note }),
  };
}

/** Changing a group would move other lanes than those that have moved. */
function oddGroup({ name, strategy }: FlagBlueprint, { groups }: StandingFlag): string | undefined {
  const { groupId } = strategy.parameters;
  const others = CUTOVER.test(name) ? groups.filter((group) => group !== groupId) : [];
  if (others.length === 0) return undefined;
  return `its group is "${others.join('", "')}", not "${groupId}": reads and writes must share one to move the same lanes`;
}

/** Earlier versions made switches as shares: on, at 0 %. */
function oddSwitch(
  { enabled: isShare }: FlagBlueprint,
  { enabled, share }: StandingFlag,
): string | undefined {
  if (isShare || share === 100) return undefined;
  const state = enabled ? 'it is on' : 'switched on';
  return `${state} at a share of ${share} %, so "on" does not mean on: set its rollout to 100 % and use its switch`;
}

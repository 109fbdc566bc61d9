import { messageOf } from '../domain/errors.ts';
import type { FlagBlueprint } from './flag-blueprint.ts';
import type { StandingFlag, UnleashAdmin } from './unleash-admin.ts';
import { UnleashError, type UnleashResult } from './unleash-poll.ts';

/** The result for one flag. `completed`: it was off and without a strategy, and has one now. */
export interface PushedFlag {
  readonly flag: string;
  readonly result: 'created' | 'completed' | 'kept' | 'failed';
  /** The requested share after the push, in percent; absent if the push failed. */
  readonly asks?: number;
  /** Why it failed, or what is unusual about a kept flag. */
  readonly note?: string;
}

/** After one of these results every further flag would fail too. */
const HOPELESS: ReadonlySet<UnleashResult> = new Set(['unauthorized', 'forbidden', 'unreachable', 'timeout']);

interface PushOptions {
  /** Reads only. */
  readonly isDryRun: boolean;
  /** Called for each finished flag. */
  readonly onPushed?: (pushed: PushedFlag) => void;
}

/**
 * Creates the missing flags so that they request nothing. It never changes the switch or the strategies of an existing flag. It is safe
 * to repeat, also after an interrupted push.
 * @throws UnleashError if no flag can succeed: the token is not accepted, or the server cannot be reached
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
    // Unleash gives a flag without a strategy one for everyone, so switching it on would request 100 %.
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

/** False if another push has created the flag at the same moment; that push completes it. */
async function make(admin: UnleashAdmin, blueprint: FlagBlueprint): Promise<boolean> {
  try {
    await admin.create(blueprint);
  } catch (error) {
    const isTaken = error instanceof UnleashError && error.result === 'conflict';
    // An archived flag, or a flag of another project, may also have the name.
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

/** Flags whose group decides which lanes move first. */
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

/** A changed group would select other lanes than those that have moved. */
function oddGroup({ name, strategy }: FlagBlueprint, { groups }: StandingFlag): string | undefined {
  const { groupId } = strategy.parameters;
  const others = CUTOVER.test(name) ? groups.filter((group) => group !== groupId) : [];
  if (others.length === 0) return undefined;
  return `its group is "${others.join('", "')}", not "${groupId}": reads and writes need the same group to move the same lanes`;
}

/** Earlier versions created switches as shares: on, at 0 %. */
function oddSwitch(
  { enabled: isShare }: FlagBlueprint,
  { enabled, share }: StandingFlag,
): string | undefined {
  if (isShare || share === 100) return undefined;
  const state = enabled ? 'it is on' : 'switched on';
  return `${state} at a share of ${share} %, so switching it on has no effect: set its rollout to 100 % and use its switch`;
}

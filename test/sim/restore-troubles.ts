import { parseLaneKey } from '../../src/domain/ids.ts';
import type { Profile } from './faults.ts';
import { BY, command } from './people.ts';
import type { Replica } from './replica.ts';
import type { World } from './world.ts';

/** A backup has this age when it is restored. */
const AGE_MS = [200, 15_000] as const;
/** To restore a database takes longer than the two looks of a second at it. */
const DOWN_MS = [3_000, 10_000] as const;
/** People look at the list so often. */
const LOOK_MS = [500, 8_000] as const;
const LISTED = 100;

/** Whether databases are set back in this life. */
export function hasRestores({ restore_orchestrator }: Profile): boolean {
  return restore_orchestrator !== undefined;
}

/** The orchestrator is set back to a copy that is made now, some time later. */
export function restoreOrchestrator(world: World, replicas: readonly Replica[]): void {
  const { scheduler, random, faults, orchestrator, restores, monitor } = world;
  if (monitor === undefined) return;
  const setBack = restores.backUpOrchestrator(world, monitor.log);
  scheduler.after(random.whole(...AGE_MS), 'restore the orchestrator', () => {
    if (!faults.isActive) return;
    const downMs = random.whole(...DOWN_MS);
    faults.trouble(orchestrator.name, downMs + 2_000);
    orchestrator.crash();
    setBack();
    scheduler.after(downMs, 'restart the orchestrator', () => orchestrator.restart());
    // People look until the end of the life.
    if (restores.orchestrator === 1) decideLater(world, replicas);
  });
}

/** Again and again: the lanes of legacy are copied, and the listed lanes are accepted as they are. */
function decideLater(world: World, replicas: readonly Replica[]): void {
  const { scheduler, random, restores } = world;
  scheduler.after(random.whole(...LOOK_MS), 'people look at restored lanes', () => {
    command(world, replicas, {
      what: 'copy what was set back',
      run: async ({ migration: { laneCommands } }) => {
        for (const lane of restores.toCopy(world))
          if ((await laneCommands.whyNotCopied(lane)) === undefined) await laneCommands.copy(lane);
      },
    });
    command(world, replicas, {
      what: 'accept restored lanes',
      run: async ({ migration: { restored } }) => {
        for (const { lane, older, redelivered } of (await restored?.list({ isOpen: true, limit: LISTED })) ??
          [])
          if (older === 'journal' || redelivered !== undefined)
            await restored?.accept(parseLaneKey(lane).service, [lane], BY);
      },
    });
    decideLater(world, replicas);
  });
}

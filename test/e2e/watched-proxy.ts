import { startProgram, type Program } from '../support/processes.ts';
import { watchEvents, type EventWatch } from './event-watch.ts';

const JUMPING_CLOCK = new URL('../support/jumping-clock.ts', import.meta.url).href;

/** A proxy that tells its events, and may stand still at one of them. */
export interface WatchedProxy {
  readonly events: EventWatch;
  /** SIGTERM, and waits for the end. */
  stop(): Promise<void>;
  kill(): Promise<void>;
  /** SIGUSR2 sets the clock, where {@link WatchedSettings.jumpsClock} is set. */
  signal(name: 'SIGSTOP' | 'SIGCONT' | 'SIGUSR2'): void;
  output(): string;
}

export interface WatchedSettings {
  readonly config: string;
  /** Of its journal. */
  readonly url: string;
  /** The event at which it stands still. @defaultValue none */
  readonly haltOn?: string | undefined;
  /** @defaultValue false */
  readonly jumpsClock?: boolean;
}

export async function startWatched({
  config,
  url,
  haltOn,
  jumpsClock = false,
}: WatchedSettings): Promise<WatchedProxy> {
  const env = {
    DATABASE_URL: url,
    CROSSFADE_EVENT_FD: '4',
    ...(haltOn !== undefined && { CROSSFADE_HALT_ON: haltOn }),
    ...(jumpsClock && { NODE_OPTIONS: `--import ${JUMPING_CLOCK}` }),
  };
  const program: Program = await startProgram(['start', '--config', config], { env, pipes: 1 });
  return {
    events: watchEvents(program.child),
    stop: () => program.stop(),
    kill: () => program.kill(),
    signal: (name) => void program.child.kill(name),
    output: () => program.output(),
  };
}

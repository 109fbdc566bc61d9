import type { FastifyInstance } from 'fastify';
import { messageOf } from '../../domain/errors.ts';
import { flagName, KILL_SWITCH, SERVICE_FLAGS } from '../../domain/flags.ts';
import type { ServiceName } from '../../domain/ids.ts';
import type { AuditStore } from '../../engine/guard/guard-ports.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Flags } from '../../engine/ports/ports.ts';
import { type Answered, type Asked, ENDPOINTS } from '../api/endpoints.ts';
import type { ShownFlag, ShownFlags } from '../api/flags.ts';
import { Refusal } from '../refusal.ts';
import { serve } from './serve.ts';

/** Flags that can be changed through this API. */
export interface FlagEditor {
  set(
    wish: { readonly name: string; readonly share: number; readonly was: number },
    beforeWriting: () => Promise<void>,
  ): Promise<
    | { readonly result: 'written'; readonly file: string }
    | { readonly result: 'unknown_flag' }
    | { readonly result: 'broken_file'; readonly path: string; readonly why: string }
    | { readonly result: 'changed_meanwhile'; readonly asks: number }
    | { readonly result: 'not_simple'; readonly why: string }
  >;
}

export interface FlagRouteParts {
  readonly services: readonly ServiceName[];
  readonly flags: Pick<Flags, 'percentage' | 'killSwitch'> & {
    describe(): { readonly source: string; readonly fresh: boolean };
  };
  /** Absent if a server keeps the flags. */
  readonly editor?: FlagEditor;
  /** Address of that server, for people. */
  readonly server?: string;
  readonly audit: Pick<AuditStore, 'add'>;
  readonly clock: Pick<Clock, 'now' | 'sleep'>;
}

const SWITCHES: ReadonlySet<string> = new Set(['dual-write', 'legacy-read-only', 'kill-switch']);

/** The flag files are checked every 300 ms. */
const SEEN_WITHIN_MS = 2_000;
const LOOK_EVERY_MS = 20;

/** The requested shares, and their change if the flags are in files. */
export function registerFlagRoutes(app: FastifyInstance, parts: FlagRouteParts): void {
  const routes = new FlagRoutes(parts);
  serve(app, ENDPOINTS.listFlags, () => routes.show());
  serve(app, ENDPOINTS.setFlag, (asked) => routes.set(asked));
}

class FlagRoutes {
  readonly #parts: FlagRouteParts;

  constructor(parts: FlagRouteParts) {
    this.#parts = parts;
  }

  show(): ShownFlags {
    const { flags, editor, server } = this.#parts;
    const { source, fresh } = flags.describe();
    return { source, fresh, editable: editor !== undefined, server: server ?? null, flags: this.#all() };
  }

  async set({ params, body }: Asked<'setFlag'>): Promise<Answered<'setFlag'>> {
    const { flag: name } = params;
    const { share, was, person, reason } = body;
    const { editor, audit } = this.#parts;
    const known = this.#all().find((one) => one.name === name);
    if (known === undefined)
      throw new Refusal(404, 'flag_not_found', `unknown flag "${name}": see the list of flags`);
    if (editor === undefined)
      throw new Refusal(409, 'not_editable', 'a flag server keeps these flags: change them there');
    refuseShare(known, share);
    const entry = {
      person: person.trim(),
      reason: reason.trim(),
      command: 'flags set',
      service: known.service ?? 'all',
      details: { flag: name, from: was, to: share },
    };
    const edit = await editor
      .set({ name, share, was }, () => audit.add(entry))
      .catch((error: unknown) => {
        if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
        throw new Refusal(409, 'not_written', `the flag file cannot be written: ${messageOf(error)}`);
      });
    if (edit.result !== 'written') throw refusalOf(name, edit);
    return { flag: name, from: was, to: share, file: edit.file, seen: await this.#isSeen(name, share) };
  }

  #all(): ShownFlag[] {
    const { services, flags } = this.#parts;
    const ofServices = services.flatMap((service) =>
      SERVICE_FLAGS.map((flag) => ({
        name: flagName(service, flag),
        service,
        flag,
        kind: kindOf(flag),
        asked: flags.percentage(flag, service),
      })),
    );
    const asked = flags.killSwitch() ? 100 : 0;
    const flag = 'kill-switch';
    return [...ofServices, { name: KILL_SWITCH, service: null, flag, kind: kindOf(flag), asked }];
  }

  /** Waits until the proxy has read the change, so that the next page shows it. */
  async #isSeen(name: string, share: number): Promise<boolean> {
    const { clock } = this.#parts;
    const endAtMs = clock.now() + SEEN_WITHIN_MS;
    for (;;) {
      if (this.#all().some((one) => one.name === name && one.asked === share)) return true;
      if (clock.now() >= endAtMs) return false;
      await clock.sleep(LOOK_EVERY_MS);
    }
  }
}

/** @throws Refusal if the flag cannot have the share */
function refuseShare({ name, kind }: ShownFlag, share: number): void {
  if (kind === 'switch' && share !== 0 && share !== 100)
    throw new Refusal(400, 'invalid_request', `${name} is a switch: share must be 0 or 100`);
}

function kindOf(flag: ShownFlag['flag']): ShownFlag['kind'] {
  return SWITCHES.has(flag) ? 'switch' : 'share';
}

type Unwritten = Exclude<Awaited<ReturnType<FlagEditor['set']>>, { readonly result: 'written' }>;

function refusalOf(name: string, edit: Unwritten): Refusal {
  switch (edit.result) {
    case 'unknown_flag':
      return new Refusal(404, 'flag_not_found', `no flag file defines ${name}`);
    case 'changed_meanwhile':
      return new Refusal(
        409,
        edit.result,
        `${name} was changed meanwhile and now requests ${edit.asks} %: check it, then try again`,
      );
    case 'broken_file':
      return new Refusal(
        409,
        edit.result,
        `the flag file ${edit.path} cannot be used: ${edit.why}. Fix it first`,
      );
    case 'not_simple':
      return new Refusal(409, edit.result, `${edit.why}: edit the flag file`);
  }
}

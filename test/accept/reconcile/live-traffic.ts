import type { AgentEndpoints } from '../agents.ts';
import type { Dialogue } from '../dialogues.ts';
import { LegacyWriter } from './fill.ts';

const PAUSE_MS = 10;

/** Agents that go on through the proxy while everything else happens. A proxy that is killed loses them their socket, no more. */
export class LiveTraffic {
  readonly #endpoints: AgentEndpoints;
  readonly #dialogues: readonly Dialogue[];
  #isStopped = false;
  #running: Promise<void> | undefined;
  operations = 0;
  interrupted = 0;

  constructor(endpoints: AgentEndpoints, dialogues: readonly Dialogue[]) {
    this.#endpoints = endpoints;
    this.#dialogues = dialogues;
  }

  start(): void {
    this.#running = Promise.all([0, 1].map((which) => this.#run(which))).then(() => undefined);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  async #run(which: number): Promise<void> {
    let writer = new LegacyWriter(this.#endpoints);
    for (let round = which; !this.#isStopped; round += 2) {
      const dialogue = this.#dialogues[round % this.#dialogues.length];
      if (dialogue === undefined) return;
      try {
        await this.#talk(writer, dialogue, round);
      } catch {
        this.interrupted += 1;
        writer.close();
        writer = new LegacyWriter(this.#endpoints);
      }
    }
    writer.close();
  }

  async #talk(writer: LegacyWriter, dialogue: Dialogue, round: number): Promise<void> {
    const id = `live-${round}`;
    const requests = [
      ['session', { action: 'create_session', session_id: id, user_id: 'live', metadata: {} }],
      ...dialogue.turns.map(
        ({ speaker, text }) =>
          [
            'session',
            { action: 'add_interaction', session_id: id, role: speaker, content: text, metadata: {} },
          ] as const,
      ),
      ['session', { action: 'get_context', session_id: id }],
      ['jarvis', { action: 'add_memory', user_id: `live-${round % 5}`, memory: dialogue.scenario }],
    ] as const;
    for (const [service, request] of requests) {
      if (this.#isStopped) return;
      await writer.ask(service, request);
      this.operations += 1;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}

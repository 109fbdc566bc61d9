import { createAgent } from '../../../src/sandbox/agent.ts';
import type { AgentEndpoints } from '../agents.ts';
import type { Dialogue } from '../dialogues.ts';

const WRITERS = 8;

/** Puts dialogues into the legacy services, as agents did before anybody thought of a proxy. Some sessions are deleted on the way. */
export async function fillLegacy(
  legacy: AgentEndpoints,
  dialogues: readonly Dialogue[],
  onDone: (done: number) => void,
): Promise<void> {
  let next = 0;
  let done = 0;
  const write = async (): Promise<void> => {
    const writer = new LegacyWriter(legacy);
    for (let index = next++; index < dialogues.length; index = next++) {
      const dialogue = dialogues[index];
      if (dialogue !== undefined) await writer.write(dialogue, index);
      done += 1;
      onDone(done);
    }
    writer.close();
  };
  await Promise.all(Array.from({ length: WRITERS }, write));
}

export class LegacyWriter {
  readonly #agents: Readonly<Record<keyof AgentEndpoints, ReturnType<typeof createAgent>>>;

  constructor(endpoints: AgentEndpoints) {
    this.#agents = {
      session: createAgent({ endpoint: endpoints.session }),
      contextual: createAgent({ endpoint: endpoints.contextual }),
      jarvis: createAgent({ endpoint: endpoints.jarvis }),
    };
  }

  close(): void {
    for (const agent of Object.values(this.#agents)) agent.close();
  }

  async ask(service: keyof AgentEndpoints, request: object): Promise<Record<string, unknown>> {
    const reply = await this.#agents[service].call(JSON.stringify(request));
    return JSON.parse(reply.toString()) as Record<string, unknown>;
  }

  async write({ id, vertical, scenario, turns }: Dialogue, index: number): Promise<void> {
    const session = { session_id: id };
    await this.ask('session', {
      action: 'create_session',
      ...session,
      user_id: `user-${index % 50}`,
      metadata: { vertical },
    });
    for (const { speaker, text } of turns)
      await this.ask('session', {
        action: 'add_interaction',
        ...session,
        role: speaker,
        content: text,
        metadata: { tags: [scenario.slice(0, 20)] },
      });
    if (index % 4 !== 0) return;
    for (const { text } of turns)
      await this.ask('contextual', {
        action: 'add_interaction',
        session_id: `user-${index % 40}_${vertical}`,
        type: 'user_query',
        content: text,
      });
    await this.ask('jarvis', {
      action: 'add_memory',
      user_id: `owner-${id}`,
      memory: { type: 'preference', vertical },
    });
    await this.ask('jarvis', { action: 'add_memory', user_id: `owner-${id}`, memory: scenario });
  }
}

import { createServer, type Server } from 'node:http';
import { afterAll, beforeAll, test, vi } from 'vitest';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';
import { addInteraction, createSession, createSessionAgent, getContext } from '../support/session-agent.ts';

interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
}

interface Exported {
  readonly resourceSpans: readonly {
    readonly scopeSpans: readonly { readonly scope: { readonly name: string }; readonly spans: Span[] }[];
  }[];
}

const received: { readonly scope: string; readonly span: Span }[] = [];
let collector: Server;
let deployment: Deployment;

beforeAll(async () => {
  const port = await freePort();
  collector = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    response.setHeader('content-type', 'application/json').end('{}');
    const { resourceSpans } = JSON.parse(Buffer.concat(chunks).toString()) as Exported;
    for (const { scopeSpans } of resourceSpans)
      for (const { scope, spans } of scopeSpans)
        for (const span of spans) received.push({ scope: scope.name, span });
  });
  await new Promise<void>((resolve) => collector.listen(port, '127.0.0.1', resolve));
  // Proxy and orchestrator are processes of their own and inherit it.
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', `http://127.0.0.1:${port}`);
  vi.stubEnv('OTEL_BSP_SCHEDULE_DELAY', '100');
  deployment = await startDeployment({
    config: { telemetry: { logLevel: 'silent', traceSampleRatio: 1 } },
    asked: { dualWrite: true, shadowRead: 0, readCutover: 100 },
  });
});

afterAll(async () => {
  await deployment?.end();
  await new Promise((resolve) => collector.close(resolve));
  vi.unstubAllEnvs();
});

/** The agent's operation in whose trace the orchestrator did this, as the proxy's span is called. */
const callersOf = (name: string): (string | undefined)[] =>
  received
    .filter(({ scope, span }) => scope === 'crossfade-orchestrator' && span.name === name)
    .map(({ span: { traceId, parentSpanId } }) => {
      const caller = received.find(({ span }) => span.traceId === traceId && span.spanId === parentSpanId);
      return caller?.scope === 'crossfade' ? caller.span.name : undefined;
    });

test('an agent’s write and read are traces that continue in the orchestrator', async () => {
  const agent = createSessionAgent(deployment.endpoints['session-memory']);
  for (const request of [createSession('s-1'), addInteraction('s-1', 'hello')]) await agent.ask(request);
  await eventually('the orchestrator answers the read', async () => {
    await agent.ask(getContext('s-1'));
    return (await deployment.serviceStatus('session-memory')).reads_by.orchestrator > 0;
  });
  agent.close();
  // Both writes may go in one batch, which is part of the trace of its first.
  await eventually('the delivery is part of the trace of a write', () =>
    callersOf('orchestrator batch_write').some((caller) => caller?.endsWith('create_session')),
  );
  await eventually('the cut-over read is part of the trace of the read', () =>
    callersOf('orchestrator batch_read').includes('session-memory get_context'),
  );
});

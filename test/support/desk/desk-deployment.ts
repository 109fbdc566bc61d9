import { fileURLToPath } from 'node:url';
import { startDeployment, type Deployment, type DeploymentSettings } from '../deployment.ts';
import { freePort } from '../ports.ts';

/** Without signing in there is a desk in the embedded default alone. */
const EMBEDDED = fileURLToPath(new URL('proxy-of-the-embedded-default.ts', import.meta.url));

/** A deployment whose operator has a desk. */
export interface DeskDeployment {
  readonly deployment: Deployment;
  /** Of the desk, without a slash at the end. */
  readonly origin: string;
}

export const TOKENS = {
  grafana: { role: 'viewer', token: 'the-token-of-a-viewer' },
  'on-call': { role: 'operator', token: 'the-token-of-an-operator' },
  lead: { role: 'approver', token: 'the-token-of-an-approver' },
} as const;

/** @param tokens absent: nobody signs in */
export async function startDesk(
  config: Readonly<Record<string, object>> = {},
  tokens?: typeof TOKENS,
  settings: DeploymentSettings = {},
): Promise<DeskDeployment> {
  const port = await freePort();
  const deployment = await startDeployment({
    ...(tokens === undefined && { start: { program: EMBEDDED } }),
    ...settings,
    config: {
      desk: { port, withoutSignIn: tokens === undefined },
      ...(tokens !== undefined && { operator: { tokens } }),
      ...config,
    },
  });
  return { deployment, origin: `http://127.0.0.1:${port}` };
}

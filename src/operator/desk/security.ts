import formbody from '@fastify/formbody';
import helmet from '@fastify/helmet';
import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance } from 'fastify';
import { LOOPBACK_HOST } from '../operator-access.ts';
import { BODY_LIMIT_BYTES } from '../posted-bodies.ts';
import { refuseUnstorableAddresses } from '../refusal.ts';

const SELF = ["'self'"];

/** Requests from one address per minute. An open desk refreshes itself 20 times per minute. */
const REQUESTS_A_MINUTE = 600;
export const SIGN_INS_A_MINUTE = 10;

/** The browser loads and runs only what this desk serves, and nothing inline. */
export async function registerSecurity(
  app: FastifyInstance,
  { isOpen }: { readonly isOpen: boolean },
): Promise<void> {
  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: SELF,
        styleSrc: SELF,
        imgSrc: SELF,
        fontSrc: SELF,
        connectSrc: SELF,
        formAction: SELF,
        baseUri: ["'none'"],
        frameAncestors: ["'none'"],
      },
    },
    // The server in front of the desk decides about TLS and its duration.
    strictTransportSecurity: false,
    referrerPolicy: { policy: 'same-origin' },
  });
  await app.register(rateLimit, { max: REQUESTS_A_MINUTE, timeWindow: '1 minute' });
  await app.register(formbody, { bodyLimit: BODY_LIMIT_BYTES });
  refuseUnstorableAddresses(app);
  if (isOpen) refuseOtherHosts(app);
}

/** Without a sign-in, requests that a web page of another host sends through a browser are refused. */
function refuseOtherHosts(app: FastifyInstance): void {
  app.addHook('onRequest', async (request, reply) => {
    if (LOOPBACK_HOST.test(request.headers.host ?? '')) return;
    await reply
      .code(403)
      .type('text/plain')
      .send('Without operator.tokens the desk serves this machine only.');
  });
}

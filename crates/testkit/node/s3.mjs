// A server that speaks as S3 does: npm's s3rver. It ends with whoever holds its input.
// s3.mjs FOLDER_OF_NPM PORT DIRECTORY BUCKET [PUT_MS]: a PUT is answered so much later.
import { createRequire } from 'node:module';

const [folder, port, directory, bucket, late] = process.argv.slice(2);
const S3rver = createRequire(`${folder}/`)('s3rver');
const server = new S3rver({
  address: '127.0.0.1',
  port: Number(port),
  directory,
  silent: true,
  configureBuckets: [{ name: bucket }],
});
if (late) {
  server.middleware.unshift(async (context, next) => {
    await next();
    if (context.method === 'PUT') await new Promise((after) => setTimeout(after, Number(late)));
  });
}
await server.run();
process.stdin.resume().on('end', () => process.exit(0));

import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

// `npm run dev` shows the application against a running Hilum.
const hilum = 'http://127.0.0.1:8080';

export default defineConfig({
  plugins: [react()],
  build: {
    // Nothing inline: the content-security policy permits files of this origin only.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { '/api': hilum, '/dicomweb': hilum, '/viewer': hilum } },
});

import { createApp } from 'vue';

import App from './App.vue';

createApp(App, { url: new URL('/graphql', location.href).href }).mount('#app');

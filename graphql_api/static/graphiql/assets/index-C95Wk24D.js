import{a as e}from"./rolldown-runtime-BWaJ3C7D.js";import{a as t,c as n,d as r,f as i,i as a,l as o,n as s,o as c,r as l,s as u,u as d}from"./packages-C_MfPuW7.js";var f=e(r(),1),p=t(),m=`# Second step: the challenge's token, and the code or the link's token.
# The session's token belongs in the headers: { "Authorization": "Bearer ..." }
mutation CompleteSignIn($input: CompleteSignInInput!) {
  completeSignIn(input: $input) {
    session {
      token
      expiresAt
      user {
        name
      }
    }
    userErrors {
      message
      code
      path
    }
  }
}
`,h=`# Make an API key. The answer's \`key\` can be read this once only.
mutation CreateApiKey($input: CreateApiKeyInput!) {
  createApiKey(input: $input) {
    key
    apiKey {
      id
      name
      type
      prefix
      createdAt
    }
    userErrors {
      message
      code
      path
    }
  }
}
`,g=`# Send a template to everyone in a CSV file. Then watch it: next tab.
mutation CreateJob($input: CreateJobInput!) {
  createJob(input: $input) {
    job {
      id
      status
      recipientCount
      progress {
        total
        created
        delivered
      }
    }
    userErrors {
      message
      code
      path
    }
  }
}
`,_=`# Write a text message with placeholders.
mutation CreateTemplate($input: CreateTemplateInput!) {
  createTemplate(input: $input) {
    template {
      id
      name
      version
      placeholders {
        name
        conditional
      }
      sms {
        characterCount
        fragmentCount
      }
      preview(personalisation: { name: "Ada", day: "Monday" }) {
        text
        missingPlaceholders
      }
    }
    userErrors {
      message
      code
      path
    }
  }
}
`,v=`# Failed messages of the last days, page by page: pass \`endCursor\` as \`after\`.
query FindMessages($serviceId: ID!, $filter: NotificationFilter, $after: String) {
  service(id: $serviceId) {
    notifications(first: 20, after: $after, filter: $filter) {
      totalCount
      nodes {
        id
        channel
        recipient
        reference
        status
        statusText
        createdAt
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
}
`,y=`# How far is the latest job? Press the repeat button to ask once a second.
query LatestJob($serviceId: ID!) {
  service(id: $serviceId) {
    jobs(first: 1) {
      nodes {
        id
        fileName
        status
        progress {
          total
          created
          inProgress
          delivered
          failed
          fractionComplete
          isFinal
        }
        notifications(first: 10) {
          totalCount
          nodes {
            jobRowNumber
            recipient
            statusText
            content {
              text
            }
            completedAt
          }
        }
      }
    }
  }
}
`,b=`# A service's page, in one request.
query ServiceDashboard($serviceId: ID!) {
  service(id: $serviceId) {
    name
    status
    organisation {
      name
    }
    statistics {
      total {
        requested
        delivered
        failed
      }
    }
    notifications(first: 10) {
      nodes {
        channel
        recipient
        statusText
        template {
          name
        }
        createdAt
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
    jobs(first: 5) {
      nodes {
        id
        fileName
        status
        createdAt
        createdBy {
          ... on User {
            name
          }
          ... on ApiKey {
            name
          }
        }
        progress {
          total
          delivered
          failed
          fractionComplete
        }
      }
    }
    templates(first: 10) {
      totalCount
      nodes {
        id
        name
        channel
        placeholders {
          name
        }
      }
    }
    dailyLimits {
      channel
      international
      used
      remaining
    }
  }
}
`,x=`# First step of signing in, with a password. It sends a code or a link (of a
# development server, the terminal shows it) for the next example.
mutation SignIn($input: SignInInput!) {
  signIn(input: $input) {
    challenge {
      token
      method
      sentTo
      expiresAt
    }
    userErrors {
      message
      code
      path
    }
  }
}
`,S=`# Who am I, and what may I do?
query Viewer {
  viewer {
    isPlatformAdmin
    user {
      id
      name
      emailAddress
      serviceMemberships(first: 5) {
        totalCount
        nodes {
          permissions
          service {
            id
            name
            status
          }
        }
      }
    }
    apiKey {
      id
      name
      type
    }
  }
}
`,C=i(),w=`phone number,name,day
07700900101,Ada,Monday
07700900102,Grace,Tuesday
07700900103,Zoë,Wednesday
`;function T({serviceId:e=``,templateId:t=``}){let n=(e,t,n,r,i=!0)=>({title:e,description:t,query:n,variables:r?JSON.stringify(r,null,2):``,tab:i});return[n(`Who am I?`,`The signed-in person or key, and where they belong.`,S),n(`Service dashboard`,`Figures, limits, templates, jobs and messages in one request.`,b,{serviceId:e}),n(`Create an API key`,`The key itself is shown this once.`,h,{input:{serviceId:e,name:`Explorer`,type:`TEST`}}),n(`Create a template`,`A text message with placeholders, and its preview.`,_,{input:{serviceId:e,name:`Made in the explorer`,content:{sms:{body:`Hello ((name)), we look forward to seeing you on ((day)).`}}}}),n(`Create a job from a CSV file`,`One message for each row.`,g,{input:{serviceId:e,templateId:t,source:{csv:{fileName:`people.csv`,content:w}}}}),n(`Watch the latest job`,`Its progress and its messages, row by row.`,y,{serviceId:e}),n(`Find messages`,`Filtered, and page by page.`,v,{serviceId:e,filter:{statusGroups:[`FAILED`]},after:null},!1),n(`Sign in`,`First step: the password.`,x,{input:{emailAddress:``,password:``}},!1),n(`Complete signing in`,`Second step: the code or the link that was sent.`,m,{input:{challengeToken:``,proof:{smsCode:``}}},!1)]}function E(e,t){return{title:`Examples`,icon:O,content:()=>(0,C.jsx)(D,{examples:e,signedIn:t})}}function D({examples:e,signedIn:t}){let{addTab:r,changeTab:i}=o(),{tabs:a,queryEditor:s,variableEditor:c}=n(e=>({tabs:e.tabs,queryEditor:e.queryEditor,variableEditor:e.variableEditor}));function l({query:e,variables:t}){let n=a.findIndex(n=>n.query===e&&(n.variables??``)===t);n>=0?i(n):(r(),s?.setValue(e),c?.setValue(t)),s?.focus()}return(0,C.jsxs)(`section`,{className:`examples`,"aria-labelledby":`examples-title`,children:[(0,C.jsx)(`h2`,{id:`examples-title`,children:`Examples`}),t?(0,C.jsx)(`p`,{children:`The headers already hold a token, and the variables the ids, of this server’s demo data.`}):(0,C.jsxs)(`p`,{children:[`Most of them need a token, in the headers: `,(0,C.jsx)(`code`,{children:`{"Authorization": "Bearer …"}`})]}),(0,C.jsx)(`ul`,{children:e.map(e=>(0,C.jsx)(`li`,{children:(0,C.jsxs)(`button`,{type:`button`,onClick:()=>l(e),children:[(0,C.jsx)(`strong`,{children:e.title}),(0,C.jsx)(`span`,{children:e.description})]})},e.title))}),(0,C.jsxs)(`p`,{children:[`Run with `,(0,C.jsx)(`kbd`,{children:`Ctrl`}),`-`,(0,C.jsx)(`kbd`,{children:`Enter`}),`. Free software: `,(0,C.jsx)(`a`,{href:`./assets/notices.txt`,children:`notices`}),`.`]})]})}function O(){return(0,C.jsx)(`svg`,{viewBox:`0 0 24 24`,fill:`none`,stroke:`currentColor`,strokeWidth:`1.5`,"aria-hidden":`true`,children:(0,C.jsx)(`path`,{d:`M4 5h16M4 12h16M4 19h10`,strokeLinecap:`round`})})}function k(){let e=document.getElementById(`settings`)?.textContent??`{}`;return{graphqlUrl:`/graphql`,...JSON.parse(e)}}function A({token:e}){return e?JSON.stringify({Authorization:`Bearer ${e}`},null,2):``}function j(e){let t=new URL(e.graphqlUrl,window.location.href),n=new URL(t);n.protocol=t.protocol===`https:`?`wss:`:`ws:`;let r=d({url:t.href,subscriptionUrl:n.href,enableIncrementalDelivery:!1}),i=JSON.parse(A(e)||`{}`);return(e,t)=>r(M(e),{...t,headers:t?.headers??i})}function M(e){let{query:t,operationName:n}=e;return n&&!t.includes(n)?{...e,operationName:void 0}:e}var N=1e3;function P(){let{run:e}=o(),{asking:t,tab:r,onlyQueries:i}=n(e=>({asking:e.isFetching,tab:e.tabs[e.activeTabIndex]?.id,onlyQueries:e.operations?.every(({operation:e})=>e===`query`)??!1})),[a,s]=(0,f.useState)(),l=i&&a!==void 0&&a===r;return(0,f.useEffect)(()=>{if(l&&!t){let t=setTimeout(e,N);return()=>clearTimeout(t)}},[l,t,e]),(0,C.jsx)(c,{label:l?`Stop repeating`:i?`Repeat every second`:`Repeat every second (queries only)`,"aria-pressed":l,disabled:!i,className:`repeat`,onClick:()=>{s(l?void 0:r),!l&&!t&&e()},children:(0,C.jsx)(u,{className:`graphiql-toolbar-icon`,"aria-hidden":`true`})})}var F=`graphiql:`,I=/"(password|\w*token|smsCode)"/i;function L(e){return{get length(){return localStorage.length},key:e=>localStorage.key(e),clear:()=>localStorage.clear(),removeItem:e=>localStorage.removeItem(e),getItem(t){let n=localStorage.getItem(t);return n&&z(t)?H(n,`headers`,()=>e):n},setItem(e,t){localStorage.setItem(e,B(e,t))}}}function R(){return localStorage.getItem(`${F}visiblePlugin`)===null}function z(e){return e===`${F}queries`||e===`${F}favorites`}function B(e,t){return e===`${F}variables`?V(t):z(e)||e===`${F}tabState`?H(H(t,`headers`,()=>null),`variables`,V):t}function V(e){return typeof e==`string`&&I.test(e)?``:e}function H(e,t,n){return JSON.stringify(JSON.parse(e),(e,r)=>e===t?n(r):r)}var U=k(),W=A(U),G=j(U),K=T(U),q=E(K,U.token!==void 0),J=[q,l,a({showAttribution:!1})],Y=L(W),X=R();function Z(){return(0,C.jsxs)(s,{fetcher:G,plugins:J,...X&&{visiblePlugin:q},defaultHeaders:W,storage:Y,defaultTabs:K.filter(({tab:e})=>e),defaultEditorToolsVisibility:`variables`,inputValueDeprecation:!0,schemaDescription:!0,shouldPersistHeaders:!1,children:[(0,C.jsx)(s.Logo,{children:(0,C.jsx)(`h1`,{className:`title`,children:`Notify GraphQL`})}),(0,C.jsx)(s.Toolbar,{children:({prettify:e,merge:t,copy:n})=>(0,C.jsxs)(C.Fragment,{children:[(0,C.jsx)(P,{}),e,t,n]})})]})}var Q=document.getElementById(`root`);Q&&(0,p.createRoot)(Q).render((0,C.jsx)(f.StrictMode,{children:(0,C.jsx)(Z,{})}));
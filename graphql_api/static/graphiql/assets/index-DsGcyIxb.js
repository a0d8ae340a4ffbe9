import{a as e}from"./rolldown-runtime-BWaJ3C7D.js";import{a as t,c as n,d as r,f as i,i as a,l as o,n as s,o as c,r as l,s as u,u as d}from"./packages-C_MfPuW7.js";var f=e(r(),1),p=t(),m=`# Make an API key. The answer's \`key\` can be read this once only.
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
`,h=`# Send a template to everyone in a CSV file. Then watch it: next tab.
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
`,g=`# Write a text message with placeholders.
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
`,_=`# Failed messages of the last days, page by page: pass \`endCursor\` as \`after\`.
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
`,v=`# How far is the latest job? Press the repeat button to ask once a second.
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
            completedAt
          }
        }
      }
    }
  }
}
`,y=`# All that a service's front page shows, in one request.
query ServiceDashboard($serviceId: ID!) {
  service(id: $serviceId) {
    name
    status
    organisation {
      name
    }
    dailyLimits {
      channel
      international
      used
      remaining
    }
    statistics {
      total {
        requested
        delivered
        failed
      }
      byChannel {
        channel
        counts {
          requested
          delivered
          failed
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
    notifications(first: 10) {
      nodes {
        id
        channel
        recipient
        statusText
        createdAt
        template {
          name
        }
        content {
          text
        }
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
}
`,b=`# First step of signing in; \`completeSignIn\` takes the challenge's token and
# the code or link that was sent. The session's token belongs in the headers:
# { "Authorization": "Bearer ..." }
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
    }
  }
}
`,x=`# Who am I, and what may I do?
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
`,S=i(),C=`phone number,name,day
07700900101,Ada,Monday
07700900102,Grace,Tuesday
07700900103,Zoë,Wednesday
`;function w({serviceId:e=``,templateId:t=``}){let n=(e,t,n,r,i=!0)=>({title:e,description:t,query:n,variables:r?JSON.stringify(r,null,2):``,tab:i});return[n(`Who am I?`,`The signed-in person or key, and where they belong.`,x),n(`Service dashboard`,`Figures, limits, templates, jobs and messages in one request.`,y,{serviceId:e}),n(`Create an API key`,`The key itself is shown this once.`,m,{input:{serviceId:e,name:`Explorer`,type:`TEST`}}),n(`Create a template`,`A text message with placeholders, and its preview.`,g,{input:{serviceId:e,name:`Appointment reminder`,content:{sms:{body:`Hello ((name)), we look forward to seeing you on ((day)).`}}}}),n(`Create a job from a CSV file`,`One message for each row.`,h,{input:{serviceId:e,templateId:t,source:{csv:{fileName:`people.csv`,content:C}}}}),n(`Watch the latest job`,`Its progress and its messages, row by row.`,v,{serviceId:e}),n(`Find messages`,`Filtered, and page by page.`,_,{serviceId:e,filter:{statusGroups:[`FAILED`]},after:null},!1),n(`Sign in`,`With a password, then a code or a link.`,b,{input:{emailAddress:``,password:``}},!1)]}function T(e,t){return{title:`Examples`,icon:D,content:()=>(0,S.jsx)(E,{examples:e,signedIn:t})}}function E({examples:e,signedIn:t}){let{addTab:r,changeTab:i}=o(),{tabs:a,queryEditor:s,variableEditor:c}=n(e=>({tabs:e.tabs,queryEditor:e.queryEditor,variableEditor:e.variableEditor}));function l({query:e,variables:t}){let n=a.findIndex(n=>n.query===e&&(n.variables??``)===t);n>=0?i(n):(r(),s?.setValue(e),c?.setValue(t)),s?.focus()}return(0,S.jsxs)(`section`,{className:`examples`,"aria-labelledby":`examples-title`,children:[(0,S.jsx)(`h2`,{id:`examples-title`,children:`Examples`}),t?(0,S.jsx)(`p`,{children:`The headers already hold a token, and the variables the ids, of this server’s demo data.`}):(0,S.jsxs)(`p`,{children:[`Most of them need a token, in the headers: `,(0,S.jsx)(`code`,{children:`{"Authorization": "Bearer …"}`})]}),(0,S.jsx)(`ul`,{children:e.map(e=>(0,S.jsx)(`li`,{children:(0,S.jsxs)(`button`,{type:`button`,onClick:()=>l(e),children:[(0,S.jsx)(`strong`,{children:e.title}),(0,S.jsx)(`span`,{children:e.description})]})},e.title))}),(0,S.jsxs)(`p`,{children:[`Run with `,(0,S.jsx)(`kbd`,{children:`Ctrl`}),`-`,(0,S.jsx)(`kbd`,{children:`Enter`}),`. Free software: `,(0,S.jsx)(`a`,{href:`./assets/notices.txt`,children:`notices`}),`.`]})]})}function D(){return(0,S.jsx)(`svg`,{viewBox:`0 0 24 24`,fill:`none`,stroke:`currentColor`,strokeWidth:`1.5`,"aria-hidden":`true`,children:(0,S.jsx)(`path`,{d:`M4 5h16M4 12h16M4 19h10`,strokeLinecap:`round`})})}function O(){let e=document.getElementById(`settings`)?.textContent??`{}`;return{graphqlUrl:`/graphql`,...JSON.parse(e)}}function k({token:e}){return e?JSON.stringify({Authorization:`Bearer ${e}`},null,2):``}function A(e){let t=new URL(e.graphqlUrl,window.location.href),n=new URL(t);n.protocol=t.protocol===`https:`?`wss:`:`ws:`;let r=d({url:t.href,subscriptionUrl:n.href,enableIncrementalDelivery:!1}),i=JSON.parse(k(e)||`{}`);return(e,t)=>r(j(e),{...t,headers:t?.headers??i})}function j(e){let{query:t,operationName:n}=e;return n&&!t.includes(n)?{...e,operationName:void 0}:e}var M=1e3;function N(){let{run:e}=o(),{asking:t,tab:r,onlyQueries:i}=n(e=>({asking:e.isFetching,tab:e.tabs[e.activeTabIndex]?.id,onlyQueries:e.operations?.every(({operation:e})=>e===`query`)??!1})),[a,s]=(0,f.useState)(),l=i&&a!==void 0&&a===r;return(0,f.useEffect)(()=>{if(l&&!t){let t=setTimeout(e,M);return()=>clearTimeout(t)}},[l,t,e]),(0,S.jsx)(c,{label:l?`Stop repeating`:i?`Repeat every second`:`Repeat every second (queries only)`,"aria-pressed":l,disabled:!i,className:`repeat`,onClick:()=>{s(l?void 0:r),!l&&!t&&e()},children:(0,S.jsx)(u,{className:`graphiql-toolbar-icon`,"aria-hidden":`true`})})}var P=`graphiql:`,F=/"(password|\w*token|smsCode)"/i;function I(e){return{get length(){return localStorage.length},key:e=>localStorage.key(e),clear:()=>localStorage.clear(),removeItem:e=>localStorage.removeItem(e),getItem(t){let n=localStorage.getItem(t);return n&&R(t)?V(n,`headers`,()=>e):n},setItem(e,t){localStorage.setItem(e,z(e,t))}}}function L(){return localStorage.getItem(`${P}visiblePlugin`)===null}function R(e){return e===`${P}queries`||e===`${P}favorites`}function z(e,t){return e===`${P}variables`?B(t):R(e)||e===`${P}tabState`?V(V(t,`headers`,()=>null),`variables`,B):t}function B(e){return typeof e==`string`&&F.test(e)?``:e}function V(e,t,n){return JSON.stringify(JSON.parse(e),(e,r)=>e===t?n(r):r)}var H=O(),U=k(H),W=A(H),G=w(H),K=T(G,H.token!==void 0),q=[K,l,a({showAttribution:!1})],J=I(U),Y=L();function X(){return(0,S.jsxs)(s,{fetcher:W,plugins:q,...Y&&{visiblePlugin:K},defaultHeaders:U,storage:J,defaultTabs:G.filter(({tab:e})=>e),defaultEditorToolsVisibility:`variables`,inputValueDeprecation:!0,schemaDescription:!0,shouldPersistHeaders:!1,children:[(0,S.jsx)(s.Logo,{children:(0,S.jsx)(`h1`,{className:`title`,children:`Notify GraphQL`})}),(0,S.jsx)(s.Toolbar,{children:({prettify:e,merge:t,copy:n})=>(0,S.jsxs)(S.Fragment,{children:[(0,S.jsx)(N,{}),e,t,n]})})]})}var Z=document.getElementById(`root`);Z&&(0,p.createRoot)(Z).render((0,S.jsx)(f.StrictMode,{children:(0,S.jsx)(X,{})}));
"""The bodies that the reference's page on its Job API prints, letter by letter.

Only what names something of the reader's own is replaced: the id of a connection, and what stands
in angle brackets.
"""

FORM_LINK = """{
"redirectURL": "https://www.google.com"
}"""

CACHE_CONNECTION = """{
"connectionString": "jdbc:cdata:postgresql:Server=<Server URL>;Port=5432;User=<Your User Name>;\
Password=<Your Password>;Database=<Database Name>;"
}"""

CREATE_JOB = """{
"jobType": "Caching",
"intervalUnit": "Hour",
"intervalValue": "1",
"logVerbosity": "1",
"enabled": "true",
"params": {
"timeCheckColumn": "",
"autoTruncateStrings": "false",
"sourceConnection": "36b2c04f-70f4-44a1-876a-29e42237ee63",
"sourceName": "OData1",
"sourceSchema": "OData",
"sourceTable": "Categories"
}
}"""

UPDATE_JOB = """{
"jobType": "Caching",
"intervalUnit": "Hour",
"intervalValue": "1",
"logVerbosity": "1",
"enabled": "true",
"params": {
"timeCheckColumn": "",
"autoTruncateStrings": "false",
"sourceConnection": "36b2c04f-70f4-44a1-876a-29e42237ee63",
"sourceName": "MailChimp",
"sourceSchema": "MailChimp",
"sourceTable": "Conversations"
}
}"""

CONNECTION_ID = "36b2c04f-70f4-44a1-876a-29e42237ee63"

PARAMS = {
    "of list and describe": """{
"timeCheckColumn": "",
"autoTruncateStrings": "false",
"sourceConnection": "f6f3cfe6-72e2-4edb-914f-4409c01c1418",
"sourceName": "MailChimp1",
"sourceSchema": "MailChimp",
"sourceTable": "Conversations"
}""",
    "of create, sent": """{
"timeCheckColumn": "",
"autoTruncateStrings": "false",
"sourceConnection": "M36b2c04f-70f4-44a1-876a-29e42237ee63",
"sourceName": "OData1",
"sourceSchema": "OData",
"sourceTable": "Conversations"
}""",
    "of create, answered": """{
"timeCheckColumn": "",
"autoTruncateStrings": "false",
"sourceConnection": "f6f3cfe6-72e2-4edb-914f-4409c01c1418",
"sourceName": "MailChimp",
"sourceSchema": "MailChimp",
"sourceTable": "Conversations"
}""",
    "of update, sent": """{
"timeCheckColumn": "",
"autoTruncateStrings": "false",
"sourceConnection": "36b2c04f-70f4-44a1-876a-29e42237ee63",
"sourceName": "MailChimp",
"sourceSchema": "MailChimp",
"sourceTable": "Conversations"
}""",
}

CONNECTION_FIELDS = [
    *("accountId", "connectionString", "connectionType", "created", "driver", "driverVersion"),
    *("id", "isTested", "lastModified", "name", "walletFilePresent", "isCannedConnection"),
]
JOB_FIELDS = [
    *("jobType", "id", "name", "enabled", "created", "lastModified", "nextRunTime"),
    *("intervalUnit", "intervalValue", "logVerbosity", "lastRun", "params"),
]
LAST_RUN_FIELDS = ["dateTime", "duration", "status", "rowsAffected", "nextRunTime"]

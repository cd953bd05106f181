import java.sql.*;

/** Asks a server everything DatabaseMetaData can, and ends with an error when a question fails. */
public class Meta {
  static void show(String name, ResultSet r) throws Exception {
    ResultSetMetaData m=r.getMetaData(); int n=0; StringBuilder b=new StringBuilder();
    while(r.next()){ n++; if(n<=6){ for(int i=1;i<=m.getColumnCount();i++){ b.append(m.getColumnLabel(i)).append('=').append(r.getString(i)).append(' ');} b.append('\n'); } }
    System.out.println("== "+name+" "+n+"\n"+b);
  }
  interface Q { ResultSet get() throws Exception; }
  static int bad=0;
  static void t(String name, Q q){ try { show(name,q.get()); } catch(Exception e){ bad++; System.out.println("== "+name+" FAILED "+e.getMessage()); } }
  public static void main(String[] a) throws Exception {
    try(Connection c=DriverManager.getConnection(a[0])) {
      DatabaseMetaData d=c.getMetaData();
      System.out.println(d.getDatabaseProductName()+" "+d.getDatabaseProductVersion()+" "+d.getMaxIndexLength()+" "+d.getMaxColumnNameLength());
      t("tables",()->d.getTables(null,"public","%",new String[]{"TABLE","VIEW"}));
      t("alltables",()->d.getTables(null,null,null,null));
      t("columns",()->d.getColumns(null,"public","parts","%"));
      t("pk",()->d.getPrimaryKeys(null,"public","orders"));
      t("idx",()->d.getIndexInfo(null,"public","parts",false,false));
      t("imported",()->d.getImportedKeys(null,"public","orders"));
      t("exported",()->d.getExportedKeys(null,"public","orders"));
      t("cross",()->d.getCrossReference(null,"public","orders",null,"public","parts"));
      t("schemas",()->d.getSchemas());
      t("catalogs",()->d.getCatalogs());
      t("types",()->d.getTypeInfo());
      t("tabletypes",()->d.getTableTypes());
      t("procs",()->d.getProcedures(null,null,null));
      t("funcs",()->d.getFunctions(null,null,"lower"));
      t("fcols",()->d.getFunctionColumns(null,null,"lower",null));
      t("best",()->d.getBestRowIdentifier(null,"public","parts",DatabaseMetaData.bestRowSession,false));
      t("version",()->d.getVersionColumns(null,"public","parts"));
      t("tpriv",()->d.getTablePrivileges(null,"public","parts"));
      t("cpriv",()->d.getColumnPrivileges(null,"public","parts","%"));
      t("udts",()->d.getUDTs(null,null,null,null));
      t("client",()->d.getClientInfoProperties());
      System.out.println(d.getSQLKeywords().length()+" "+d.getStringFunctions().length());
      try(Statement s=c.createStatement()){ ResultSet r=s.executeQuery("select * from parts"); ResultSetMetaData m=r.getMetaData(); for(int i=1;i<=m.getColumnCount();i++) System.out.println(m.getColumnName(i)+" "+m.getColumnTypeName(i)+" "+m.getPrecision(i)+" "+m.isAutoIncrement(i)+" "+m.isNullable(i)+" "+m.getTableName(i)); }
      System.out.println("bad="+bad);
      if (bad>0) System.exit(1);
    }
  }
}

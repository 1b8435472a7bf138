using System.Reflection;
using System.Text.RegularExpressions;
using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Architecture.Tests;

/// <summary>One op, four files of one name; what belongs to a backend stays in its folder.</summary>
public sealed class BackendTests
{
    private const string Ops = "src/Kernels/Ops";
    private const string Optim = "src/Kernels/Optim";
    private const string Cpu = "src/Kernels/Cpu";
    private const string Gpu = "src/Kernels/Gpu";
    private const string Cases = "tests/OpCases";

    /// <summary>Compiles kernels without a device and runs what comes out, with the structs that launches are given.</summary>
    private const string KernelTexts = "tests/Ptx.Tests/";
    private const string KernelOfATest = "tests/Kernels.Tests/Gpu/SharedMemoryTests.cs";

    /// <summary>Primitives without an op of their own name: the tape and the optimiser call them.</summary>
    private static readonly string[] Primitives = ["Fill", "GradientNorm", "Matrix"];

    /// <summary>Files that must have a twin on every side.</summary>
    private static string[] Wanted => [.. Repository.Names(Ops), .. Repository.Names(Optim), .. Primitives];

    [TestCase(Cpu)]
    [TestCase(Gpu)]
    [TestCase(Cases)]
    public void Every_op_has_a_file_of_its_name_in(string folder)
        => Assert.That(Wanted, Is.SubsetOf(Repository.Names(folder)), $"ops without a file in {folder}");

    [Test]
    public void Every_file_of_cases_belongs_to_an_op()
    {
        var files = Repository.Names(Cases)
            .Where(name => Repository.Text($"{Cases}/{name}.cs").Contains("partial class Catalogue", StringComparison.Ordinal));
        Assert.That(files.Where(name => name != "Catalogue"), Is.EquivalentTo(Wanted));
    }

    [Test]
    public void Every_op_of_the_tape_is_called_by_a_case()
    {
        string cases = string.Concat(Repository.CodeBelow(Cases).Select(Repository.Text));
        var ops = typeof(Tape).GetMethods(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly)
            .Where(method => method.ReturnType == typeof(Tensor) && method.Name is not ("Keep" or "Gradient" or "Constant"))
            .Select(method => method.Name).Distinct();
        Assert.That(ops.Where(op => !cases.Contains($"tape.{op}(", StringComparison.Ordinal)), Is.Empty);
    }

    [Test]
    public void Every_op_states_its_gradients()
    {
        var silent = Repository.CodeBelow(Ops).Where(path => Repository.Text(path).Contains("partial class Tape", StringComparison.Ordinal)
            && !Regex.IsMatch(Repository.Text(path), @"///.*(Gradients?:|No gradient)"));
        Assert.That(silent, Is.Empty);
    }

    [Test]
    public void ILGPU_stays_in_its_folder()
    {
        var outside = Repository.Code.Where(path
            => !path.StartsWith(Gpu + "/", StringComparison.Ordinal) && !path.StartsWith(KernelTexts, StringComparison.Ordinal)
                && path != KernelOfATest
                && Regex.IsMatch(Repository.Text(path), @"^\s*(global )?using (static )?ILGPU", RegexOptions.Multiline));
        Assert.That(outside, Is.Empty);
        Assert.That(Mentioning("ILGPU", Cpu), Is.Empty);
    }

    [Test]
    public void Backends_do_not_know_each_other()
    {
        Assert.That(Mentioning("GpuBackend", Cpu), Is.Empty);
        Assert.That(Mentioning("CpuBackend", Gpu), Is.Empty);
        Assert.That(Mentioning("[CG]puBackend", Ops), Is.Empty);
    }

    [Test]
    public void Kernels_and_their_arguments_are_internal()
    {
        var visible = Repository.CodeBelow(Gpu).Concat(Repository.CodeBelow(Cpu)).Where(path => Regex.IsMatch(Repository.Text(path),
            @"^\s*public [\w ]*\b(class|struct|record|enum|interface)\b", RegexOptions.Multiline));
        Assert.That(visible, Is.Empty);
    }

    [Test]
    public void Public_surface_shows_nothing_of_ILGPU()
    {
        const BindingFlags Declared = BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;
        var shown = from type in typeof(Tape).Assembly.GetExportedTypes()
                    from member in type.GetMembers(Declared)
                    from used in TypesOf(member).Append(type.BaseType ?? typeof(object))
                    where used.Assembly.GetName().Name!.StartsWith("ILGPU", StringComparison.Ordinal)
                    select $"{type.Name}.{member.Name}";
        Assert.That(shown, Is.Empty);
    }

    private static IEnumerable<string> Mentioning(string pattern, string folder)
        => Repository.CodeBelow(folder).Where(path => Regex.IsMatch(Repository.Text(path), pattern));

    private static IEnumerable<Type> TypesOf(MemberInfo member) => member switch
    {
        MethodBase method => [.. method.GetParameters().Select(parameter => parameter.ParameterType),
            (method as MethodInfo)?.ReturnType ?? typeof(void)],
        PropertyInfo property => [property.PropertyType],
        FieldInfo field => [field.FieldType],
        _ => [],
    };
}

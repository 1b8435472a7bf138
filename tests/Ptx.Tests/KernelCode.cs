using System.Reflection;
using System.Reflection.Emit;

namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>The intermediate language of a kernel and of every method of the library that it calls.</summary>
internal static class KernelCode
{
    private static readonly Dictionary<short, OpCode> Codes = typeof(OpCodes).GetFields(BindingFlags.Public | BindingFlags.Static)
        .Select(field => (OpCode)field.GetValue(null)!).ToDictionary(code => code.Value);

    /// <summary>One instruction.</summary>
    /// <param name="Code">What it does.</param>
    /// <param name="Constant">The integer that it loads, or null.</param>
    /// <param name="Callee">The method that it calls, or null.</param>
    public readonly record struct Instruction(OpCode Code, long? Constant, MethodBase? Callee);

    /// <summary>The kernel and what it calls, each method once.</summary>
    public static IReadOnlyCollection<MethodBase> Methods(MethodInfo kernel)
    {
        var found = new HashSet<MethodBase>();
        var open = new Queue<MethodBase>([kernel]);
        while (open.TryDequeue(out var method))
        {
            if (method.GetMethodBody() is null || !found.Add(method))
                continue;
            foreach (var instruction in Read(method))
            {
                if (instruction.Callee is { } callee && callee.Module == kernel.Module)
                    open.Enqueue(callee);
            }
        }
        return found;
    }

    /// <summary>A method's instructions in order.</summary>
    public static IEnumerable<Instruction> Read(MethodBase method)
    {
        byte[] code = method.GetMethodBody()!.GetILAsByteArray()!;
        Type? constrained = null;
        for (int at = 0; at < code.Length;)
        {
            short value = code[at++];
            if (value == 0xFE)
                value = (short)(0xFE00 | code[at++]);
            var operation = Codes[value];
            int operand = at;
            at += Size(operation, code, at);
            if (operation == OpCodes.Constrained)
                constrained = (Type)Resolve(method, code, operand)!;
            else if (operation.OperandType == OperandType.InlineMethod)
            {
                yield return new Instruction(operation, null, Implementation((MethodBase)Resolve(method, code, operand)!, constrained));
                constrained = null;
            }
            else
                yield return new Instruction(operation, Constant(operation, code, operand), null);
        }
    }

    /// <summary>The method that a type parameter's method is, once the kernel's type arguments are known.</summary>
    private static MethodBase Implementation(MethodBase callee, Type? constrained)
    {
        if (constrained is null or { IsInterface: true } or { IsGenericParameter: true }
            || callee.DeclaringType is not { IsInterface: true } contract)
            return callee;
        var map = constrained.GetInterfaceMap(contract);
        var open = callee is MethodInfo { IsGenericMethod: true } generic ? generic.GetGenericMethodDefinition() : callee;
        int index = Array.FindIndex(map.InterfaceMethods, method => method == open);
        var target = map.TargetMethods[index];
        return target.IsGenericMethodDefinition ? target.MakeGenericMethod(callee.GetGenericArguments()) : target;
    }

    private static MemberInfo? Resolve(MethodBase method, byte[] code, int at)
        => method.Module.ResolveMember(BitConverter.ToInt32(code, at), method.DeclaringType?.GetGenericArguments(),
            method.IsGenericMethod ? method.GetGenericArguments() : null);

    private static long? Constant(OpCode operation, byte[] code, int at) => operation.OperandType switch
    {
        OperandType.InlineI => BitConverter.ToInt32(code, at),
        OperandType.ShortInlineI => (sbyte)code[at],
        OperandType.InlineI8 => BitConverter.ToInt64(code, at),
        _ when operation.Value >= OpCodes.Ldc_I4_0.Value && operation.Value <= OpCodes.Ldc_I4_8.Value
            => operation.Value - OpCodes.Ldc_I4_0.Value,
        _ => null,
    };

    private static int Size(OpCode operation, byte[] code, int at) => operation.OperandType switch
    {
        OperandType.InlineNone => 0,
        OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar => 1,
        OperandType.InlineVar => 2,
        OperandType.InlineI8 or OperandType.InlineR => 8,
        OperandType.InlineSwitch => 4 + (4 * BitConverter.ToInt32(code, at)),
        _ => 4,
    };
}
